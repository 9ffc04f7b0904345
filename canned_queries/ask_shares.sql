-- title: What people ask after a run
-- description: Of 100 signals after a run (evaluate and iterate), by the second question: it came out wrong (bad), how to go
--   on (next), how to judge it (judge), a named want (want), something else. The mean over places, or each place.
-- param place = the mean and every place: slug of one place, or mean
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=ask&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=place

select
  a.slug as ask,
  a.title,
  a.description,
  coalesce(p.short, 'Mean of ' || e.n_places || ' places') as place,
  e.value as slug,
  coalesce(p.enters, 'mean') as enters,
  e.share,
  e.low,
  e.high,
  e.n,
  e.n_numerator as counted,
  e.threads,
  e.clusters,
  e.enough,
  e.first_month,
  e.last_month,
  e.n_places,
  p.slug is null as apart,
  case when p.enters <> 'the mean' then p.enters end as note
from estimates e
join windows w on w.window = e.window
join asks a on a.slug = e.subject
left join places p on p.slug = e.value
where e.measure = 'ask'
  and e.variant = ''
  and e.method = 'process'
  and e."by" in ('', 'place')
  and (:place = '' or e.value = case :place when 'mean' then '' else :place end)
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by p.slug is not null, p.position, a.position
