-- title: Questions about the next run, inside posts about how one came out
-- description: Public signals whose main theme is one of evaluate and whose second theme is one of iterate, chosen by rule: read, with the
--   reader sure, the newest of each pair of themes. The column pairs says how many signals bear that pair.
-- param theme = every theme of iterate: slug of one

with pairs as (
  select s.theme as inside, x.theme as hidden, s.id, s.gist, s.url, s.month, s.community, s.tool, s.place,
    count(*) over (partition by s.theme, x.theme) as pairs,
    row_number() over (partition by s.theme, x.theme order by s.sure = 'high' desc, s.month desc, s.id) as newest
  from signals s
  join signal_themes x on x.signal = s.id and x.role = 'secondary'
  join themes t on t.slug = x.theme and t.phase = 'iterate'
  where s.phase = 'evaluate' and s.corpus = 'public' and s.labelled_by in ('coded', 'corrected') and (:theme = '' or x.theme = :theme)
)
select p.id, p.gist, p.url, p.month, coalesce(places.short, p.community) as place, p.tool,
  inside.title as inside, p.inside as inside_theme, hidden.title as hidden, p.hidden as hidden_theme, p.pairs
from pairs p
join themes inside on inside.slug = p.inside
join themes hidden on hidden.slug = p.hidden
left join places on places.slug = p.place
where newest = 1
order by pairs desc, hidden.position, inside.position
