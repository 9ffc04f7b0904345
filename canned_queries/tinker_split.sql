-- title: After a run, on trackers
-- description: Evaluate against iterate on Tinker's own trackers and on other trackers, whole and with one theme left out at
--   a time, so that a difference that hangs on a single theme shows. Counts of what was found.
-- fragment: g.mark=bar&g.x_column=left_out&g.x_type=nominal&g.y_column=evaluate&g.y_type=quantitative&g.color_column=place

with after as (
  select c.place, c.theme, c.phase, c.number from cells c
  where c.phase <> 'train' and c.place in ('tinker-trackers', 'github-trackers', 'github-engines')
), choices as (
  select '' as left_out, 'nothing left out' as title, 0 as position
  union all select slug, 'without ' || title, position from themes where phase <> 'train'
)
select
  p.short as place,
  p.slug,
  x.title,
  x.left_out,
  sum(case when a.phase = 'evaluate' then a.number else 0 end) as evaluate,
  sum(case when a.phase = 'iterate' then a.number else 0 end) as iterate,
  sum(a.number) as n,
  round(1.0 * sum(case when a.phase = 'evaluate' then a.number else 0 end) / sum(a.number), 6) as share
from choices x
join after a on a.theme <> x.left_out
join places p on p.slug = a.place
group by p.slug, x.left_out
order by x.position, p.position
