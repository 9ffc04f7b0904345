-- title: Of 100 signals, by phase
-- description: Of 100 signals with a known theme, how many are about getting a run done (train), how a run came out
--   (evaluate) and the next run (iterate). The mean gives each place the same weight and needs three places;
--   searched places stand beside it. The interval is for posts like these (method process).
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  coalesce(p.short, 'Mean of ' || e.n_places || ' places') as place,
  e.value as slug,
  coalesce(p.enters, 'mean') as enters,
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
  e.last_month,
  e.n_places,
  p.slug is null as apart
from estimates e
join windows w on w.window = e.window
join phases h on h.slug = e.subject
left join places p on p.slug = e.value
where e.measure = 'of_100'
  and e.variant = ''
  and e."by" in ('', 'place')
  and e.method = 'process'
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by p.slug is not null, p.position, h.position
