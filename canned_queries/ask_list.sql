-- title: The second question
-- description: What a writer may ask after a run, with the number of signals (targeted ones included: counts, no shares).

select a.slug, a.title, a.description, count(s.id) as signals
from asks a
left join signals s on s.ask = a.slug and s.labelled_by in ('coded', 'corrected')
group by a.slug
order by a.position
