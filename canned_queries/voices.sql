-- title: Voices of a theme
-- description: Up to three gists of a theme, chosen by rule: counted signals that are clearly decided (sure is high), the newest
--   of each of the three places with most signals of the theme.
-- param theme = did it get better: slug of a theme

with ranked as (
  select s.id, s.gist, s.url, s.month, s.place, s.community, s.tool,
    row_number() over (partition by s.place order by s.month desc, s.id) as newest,
    count(*) over (partition by s.place) as here
  from signals s indexed by idx_signals_theme_labelled_by
  cross join places p on p.slug = s.place
  where s.theme = case :theme when '' then 'did-it-get-better' else :theme end
    and s.sure = 'high' and s.labelled_by in ('coded', 'corrected') and p.frame = s.frame and s.frame <> 'targeted'
)
select r.id, r.gist, r.url, r.month, p.short as place, r.community, r.tool
from ranked r join places p on p.slug = r.place
where newest = 1
order by here desc, p.position
limit 3
