-- title: The archives
-- description: What each archive holds and leaves out, its dates, how many of its posts match tuning vocabulary, how many of
--   those were read, and how many tell a difficulty.

select a.title, a.slug, o.title as source, coalesce(p.short, 'no place') as place, a.matched, a.posts_read, a.signals,
  a.first_month, a.last_month, a.holds, a.obtained, a.leaves_out
from archives a
join sources o on o.slug = a.source
left join places p on p.slug = a.place
order by a.position
