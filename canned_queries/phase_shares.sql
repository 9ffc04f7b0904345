-- title: Phase shares of any group
-- description: Train, evaluate and iterate of 100 signals with a known theme, for the mean, every place, archive, tool
--   and community with at least ten signals. Tools and communities pool public posts that were not searched for by
--   theme, wherever they stood: compare them with care.
-- param by = the mean and the places: one of place, archive, tool, community
-- param value =: one group by its name or slug
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=value&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  case "by" when '' then 'mean' else "by" end as grouped_by,
  value,
  subject as phase,
  share,
  low,
  high,
  n,
  counted,
  threads,
  clusters,
  enough,
  first_month,
  last_month
from shares
join phases on phases.slug = subject
where measure = 'of_100' and method = 'process'
  and ("by" = :by or (:by = '' and "by" in ('', 'place')))
  and (:value = '' or value = :value)
  and case :window when '' then 'all' else :window end in (role, window)
order by "by", n desc, value, phases.position
