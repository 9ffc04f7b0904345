-- title: One theme, place by place
-- description: Of 100 signals with a known theme, how many are mainly about one theme: the mean, then each place, then
--   the searched places that stand beside it.
-- param theme = did it get better: slug of a theme
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
  coalesce(p.short, 'Mean of ' || e.n_places || ' places') as place,
  e.value as slug,
  t.phase,
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
join themes t on t.slug = e.subject
left join places p on p.slug = e.value
where e.measure = 'theme'
  and e.subject = case :theme when '' then 'did-it-get-better' else :theme end
  and e.variant = ''
  and e.method = 'process'
  and e."by" in ('', 'place')
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by p.slug is not null, p.position
