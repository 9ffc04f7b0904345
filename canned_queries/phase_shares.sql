-- title: Phase shares of any group
-- description: Train, evaluate and iterate of 100 signals with a known theme, for the mean, every place, archive, tool
--   and community with at least ten signals. Tools and communities pool public posts that were not searched for by
--   theme, wherever they stood: compare them with care.
-- param by = the mean and the places: one of place, archive, tool, community
-- param value =: one group by its name or slug
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=value&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  case e."by" when '' then 'mean' else e."by" end as grouped_by,
  e.value,
  e.subject as phase,
  e.share,
  e.low,
  e.high,
  e.n,
  e.n_numerator as counted,
  e.threads,
  e.clusters,
  e.enough,
  e.first_month,
  e.last_month
from estimates e
join windows w on w.window = e.window
join phases h on h.slug = e.subject
where e.measure = 'of_100'
  and e.variant = ''
  and e.method = 'process'
  and (e."by" = :by or (:by = '' and e."by" in ('', 'place')))
  and (:value = '' or e.value = :value)
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by e."by", e.n desc, e.value, h.position
