-- title: From posts to shares, stage by stage
-- description: For every archive (and for what was found by search): posts that match tuning vocabulary, posts that were
--   read, signals, distinct signals after copies were folded, signals with a known theme, and signals that carry a share;
--   beside them the posts that only a machine has read and takes for signals, which carry none.

select
  coalesce(a.title, 'found by search') as archive,
  f.archive as slug,
  o.title as source,
  f.corpus,
  max(f.posts) filter (where f.stage = 'matched') as matched,
  max(f.posts) filter (where f.stage = 'read') as "read",
  max(f.posts) filter (where f.stage = 'signal') as signals,
  max(f.posts) filter (where f.stage = 'distinct') as "distinct",
  max(f.posts) filter (where f.stage = 'themed') as themed,
  max(f.posts) filter (where f.stage = 'counted') as counted,
  max(f.posts) filter (where f.stage = 'machine') as machine
from flow f
join sources o on o.slug = f.source
left join archives a on a.slug = f.archive
group by f.archive, f.source, f.corpus
order by a.position is null, a.position, f.corpus, o.position
