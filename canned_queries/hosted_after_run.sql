-- title: The part after a run, with machine themes in and out
-- description: Of 100 signals, how many are about a run that is done, on a hosted service's forum and elsewhere; and the same
--   once the themes of the machine (memory, environment, speed and cost) are left out, since a hosted service takes those
--   on itself. Shares of what is counted; intervals of the first stand in the table estimates, measure after_run.
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=after_run&g.y_type=quantitative

select
  p.short as place,
  p.slug,
  p.enters,
  sum(c.number) as n,
  round(sum(case when c.phase <> 'train' then c.weight else 0 end) / sum(c.weight), 6) as after_run,
  sum(case when c.theme not in ('memory-hardware', 'environment-support', 'speed-cost') then c.number else 0 end)
    as n_without,
  round(sum(case when c.phase <> 'train' then c.weight else 0 end)
    / sum(case when c.theme not in ('memory-hardware', 'environment-support', 'speed-cost') then c.weight else 0 end), 6)
    as after_run_without
from cells c
join places p on p.slug = c.place
where p.frame = 'population'
group by p.slug
order by p.position
