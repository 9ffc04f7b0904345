-- title: The three phases
-- description: Train, evaluate, iterate, in words, with the number of signals of each (targeted ones included: counts of what
--   was found, no shares).

select h.slug, h.title, h.short, h.description, count(s.id) as signals
from phases h
left join signals s on s.phase = h.slug and s.labelled_by in ('coded', 'corrected')
group by h.slug
order by h.position
