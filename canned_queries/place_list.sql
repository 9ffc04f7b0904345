-- title: The places
-- description: What was read where and when, how its rows were found, what they may carry, and what counts as one cluster.

select p.title, p.short, p.slug, p.frame, p.enters, p.description, p.clustered_by,
  (select coalesce(sum(n), 0) from signal_counts s where s.place = p.slug and s.labelled_by <> 'machine') as signals,
  (select coalesce(sum(number), 0) from cells c where c.place = p.slug) as counted
from places p
order by p.position
