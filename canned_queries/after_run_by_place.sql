-- title: The part that is past a run
-- description: Of 100 signals with a known theme, how many are past a run (evaluate or iterate): the mean and every place, with
--   the interval for posts like these.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
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
  e.last_month
from estimates e
join windows w on w.window = e.window
left join places p on p.slug = e.value
where e.measure = 'after_run'
  and e.variant = ''
  and e.method = 'process'
  and e."by" in ('', 'place')
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by p.slug is not null, p.position
