-- title: The signals of a theme
-- description: Signals whose main theme is the one given, clearest first, then newest; twenty a page. “of” says how many
--   there are in all. Includes signals found by targeted search and, last, those that only a machine has read: read
--   them, do not count them.
-- param theme = every theme: slug of a theme
-- param place = every place: slug of a place
-- param since = all months: first month, like 2025-04; signals without a date are then left out
-- param q =: words that must occur in the gist, title or excerpt
-- param page = 1: which page

select
  s.id,
  s.gist,
  s.title,
  s.theme,
  s.phase,
  s.ask,
  s.tool,
  s.month,
  s.date_of,
  s.community,
  p.short as place,
  s.url,
  s.frame,
  s.labelled_by,
  s.sure,
  count(*) over () as of
from signals s
left join places p on p.slug = s.place
where (:theme = '' or s.theme = :theme)
  and (:place = '' or s.place = :place)
  and (:since = '' or s.month >= :since)
  and (:q = '' or s.rowid in (select rowid from signals_fts where signals_fts match escape_fts(:q)))
order by s.labelled_by = 'machine', s.sure = 'low', s.month is null, s.month desc, s.id
limit 20 offset 20 * (min(max(cast(:page as integer), 1), 100000) - 1)
