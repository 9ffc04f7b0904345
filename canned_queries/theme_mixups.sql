-- title: What a theme is taken for
-- description: Of posts that were read twice, blind, and that at least one reader gave this theme, how many the other reader gave
--   another theme, and which; one such signal as an example. An empty theme stands for no signal. The first row, “the same
--   theme”, is agreement.
-- param theme = did it get better: slug of a theme

with pairs as (
  select a.post, a.theme as one, b.theme as other
  from codings a
  join codings b on b.post = a.post and a.reading = 1 and b.reading = 2
  where case :theme when '' then 'did-it-get-better' else :theme end in (a.theme, b.theme)
), mixed as (
  select post, nullif(case when one is case :theme when '' then 'did-it-get-better' else :theme end then other else one end,
    case :theme when '' then 'did-it-get-better' else :theme end) as theme, one is other as same
  from pairs
)
select
  m.theme,
  case when m.same then 'the same theme' else coalesce(t.title, 'no signal') end as title,
  t.phase,
  m.same,
  count(*) as posts,
  sum(count(*)) over () as n,
  min(s.id) as example,
  s.gist
from mixed m
left join themes t on t.slug = m.theme
left join signals s on s.id = m.post
group by m.same, m.theme
order by m.same desc, posts desc, t.position
