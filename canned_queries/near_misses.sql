-- title: Posts that were read and are no signal
-- description: What was looked at and left out, or could not be told, with the reason; fifty a page. “of” says how many there
--   are in all. Their text is not here, only the link.
-- param why = every reason: slug of a reason in the table whys, or cannot_tell
-- param place = every place: slug of a place
-- param page = 1: which page

select
  s.id,
  s.verdict,
  w.title as why,
  s.note,
  p.short as place,
  s.community,
  s.month,
  s.url,
  s.sure,
  count(*) over () as of
from screened s
left join whys w on w.slug = s.why
left join places p on p.slug = s.place
where (:why = '' or s.why = :why or s.verdict = :why)
  and (:place = '' or s.place = :place)
order by s.note is null, s.month is null, s.month desc, s.id
limit 50 offset 50 * (min(max(cast(:page as integer), 1), 100000) - 1)
