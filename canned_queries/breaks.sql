-- title: Places and sources of a version
-- description: Whether a place entered, left or is used otherwise since the version before, which breaks its figures and
--   those of the mean; and what each source gave when the version was collected.
-- param version = the latest: name of a published version

with asked as (
  select * from versions
  where version = :version or (:version = '' and position = (select max(position) from versions))
)
select 'place' as what, p.slug, p.title, p.enters, coalesce(c.verdict, 'as before') as verdict
from (
  select slug, title, enters, position from places
  union all
  select place, place, null, 999 from changes
  where kind = 'place' and version = (select version from asked) and place not in (select slug from places)
) p
left join changes c on c.kind = 'place' and c.place = p.slug and c.version = (select version from asked)
union all
select 'source', subject, coalesce(s.title, subject), null, verdict
from changes c left join sources s on s.slug = c.subject
where c.kind = 'source' and c.version = (select version from asked)
