-- title: After a run: evaluate against iterate
-- description: Of 100 signals after a run (evaluate and iterate), how many ask how that run came out. One row a place,
--   and two for their mean: method process is the interval for posts like these, method places the wider one for
--   places like these. A mean needs three places with 30 signals each.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
  coalesce(p.title, 'Mean of ' || e.n_places || ' places') as place,
  coalesce(p.short, 'mean') as short,
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
  e.method,
  p.slug is null as apart,
  case when p.enters <> 'the mean' then p.enters end as note
from estimates e
join windows w on w.window = e.window
left join places p on p.slug = e.value
where e.measure = 'headline'
  and e.variant = ''
  and e."by" in ('', 'place')
  and (e.method = 'process' or (e.method = 'places' and e."by" = ''))
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by p.slug is not null, p.position, e.method = 'places'
