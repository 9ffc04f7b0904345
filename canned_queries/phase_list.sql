-- title: The three phases
-- description: Train, evaluate, iterate, in words, with the number of signals of each (targeted ones included: counts of what
--   was found, no shares).

select h.slug, h.title, h.short, h.description, coalesce(sum(s.n), 0) as signals
from phases h
left join signal_counts s on s.phase = h.slug and s.labelled_by <> 'machine'
group by h.slug
order by h.position
