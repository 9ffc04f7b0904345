-- title: The second question
-- description: What a writer may ask after a run, with the number of signals (targeted ones included: counts, no shares).

select a.slug, a.title, a.description, coalesce(sum(s.n), 0) as signals
from asks a
left join signal_counts s on s.ask = a.slug and s.labelled_by <> 'machine'
group by a.slug
order by a.position
