-- title: How many readings stand behind each place's shares
-- description: Of the signals that carry a share of a place, how many were read once, twice or more, and by whom: language
--   models under the codebook, persons, or visitors of the site who sent a correction.
-- param place = every place: slug of a place

with counted as (
  select s.id, s.place, s.readings, s.labelled_by
  from signals s indexed by idx_signals_labelled_by
  cross join places p on p.slug = s.place
  where s.theme is not null and s.labelled_by in ('coded', 'corrected')
    and (p.frame = 'targeted' and s.frame in ('neutral', 'targeted') or s.frame = p.frame)
), read as (
  select c.*,
    (select count(*) from codings r where r.post = c.id and r.reader = 'person') as persons,
    (select count(*) from codings r where r.post = c.id and r.reader = 'visitor') as visitors,
    (select count(*) > 1 from codings r where r.post = c.id and r.reading in (4, 5)) as asked_twice
  from counted c
)
select
  p.short as place,
  count(*) as n,
  sum(r.readings - r.persons - r.visitors = 1) as read_once_by_language_models,
  sum(r.readings - r.persons - r.visitors > 1) as read_more_than_once_by_language_models,
  sum(r.asked_twice) as asked_the_second_question_twice,
  sum(r.persons > 0) as read_by_a_person,
  sum(r.visitors > 0) as corrected_by_a_visitor
from read r
join places p on p.slug = r.place
where :place = '' or r.place = :place
group by p.slug
order by p.position
