-- title: One post
-- description: Everything that is known of one post by its id, a signal or one that was read and is none; of a copy that was
--   folded, only what it was folded into.
-- param id = the first signal: id of a post, like rd.1ibbloy

with asked as (
  select case :id when '' then (select min(id) from signals) else :id end as id
), post as (
  select id, url, 'signal' as verdict, null as why, gist, title, excerpt, theme, phase, ask, run, place, community,
    source, kind, state, created, month, date_of, seen, sure, frame, archive, corpus, tracker, tool, model, n_replies,
    labelled_by, confidence, readings, weight, query
  from signals where id = (select id from asked)
  union all
  select id, url, verdict, why, note, null, null, null, null, null, null, place, community,
    source, kind, null, created, month, date_of, seen, sure, frame, archive, corpus, null, null, null, null,
    'coded', null, readings, weight, null
  from screened where id = (select id from asked)
)
select
  asked.id,
  (select keep from duplicates where "drop" = asked.id limit 1) as copy_of,
  post.url,
  post.verdict,
  w.title as why,
  w.description as why_means,
  post.gist,
  post.title,
  post.excerpt,
  post.theme,
  t.title as theme_title,
  t.question,
  t.includes,
  post.phase,
  h.title as phase_title,
  h.short as phase_short,
  post.ask,
  a.title as ask_title,
  a.description as ask_means,
  post.run,
  post.place,
  p.short as place_title,
  post.community,
  o.title as source,
  o.text_policy,
  post.kind,
  post.state,
  post.created,
  post.month,
  post.date_of,
  post.seen,
  post.sure,
  post.frame,
  r.title as archive,
  post.corpus,
  post.tracker,
  post.tool,
  post.model,
  post.n_replies,
  post.labelled_by,
  post.confidence,
  post.readings,
  post.weight,
  post.query
from asked
left join post on post.id = asked.id
left join themes t on t.slug = post.theme
left join phases h on h.slug = post.phase
left join asks a on a.slug = post.ask
left join whys w on w.slug = post.why
left join places p on p.slug = post.place
left join sources o on o.slug = post.source
left join archives r on r.slug = post.archive
where post.id is not null or copy_of is not null
