-- title: Near misses of a theme
-- description: Signals that touch a theme and are filed under another, chosen by rule: the newest clear one of each of the four
--   themes that are most often the main one beside it.
-- param theme = did it get better: slug of a theme

with beside as (
  select g.id, g.gist, g.theme, g.month,
    row_number() over (partition by g.theme order by g.month is null, g.month desc, g.id) as newest,
    count(*) over (partition by g.theme) as signals
  from signals g indexed by idx_signals_labelled_by
  cross join signal_themes s on s.signal = g.id
  where s.theme = case :theme when '' then 'did-it-get-better' else :theme end
    and s.role = 'secondary' and g.labelled_by in ('coded', 'corrected') and +g.sure = 'high' and +g.theme is not null
)
select b.id, b.gist, b.theme, t.title, t.phase, b.month, b.signals
from beside b
join themes t on t.slug = b.theme
where b.newest = 1
order by b.signals desc, t.position
limit 4
