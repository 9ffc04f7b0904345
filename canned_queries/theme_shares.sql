-- title: Theme shares
-- description: Of 100 signals with a known theme, how many are mainly about each theme, at one place or as the mean over
--   places, with the interval for posts like these. Ranked.
-- param place = the mean over places: slug of one place
-- param phase = all phases: train, evaluate, iterate, or after (evaluate and iterate)
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=theme&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  t.title,
  t.slug as theme,
  t.phase,
  t.question,
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
  coalesce(p.short, 'Mean of ' || e.n_places || ' places') as place
from estimates e
join windows w on w.window = e.window
join themes t on t.slug = e.subject
left join places p on p.slug = e.value
where e.measure = 'theme'
  and e.variant = ''
  and e.method = 'process'
  and e."by" = case :place when '' then '' else 'place' end
  and e.value = :place
  and (:phase = '' or t.phase = :phase or (:phase = 'after' and t.phase <> 'train'))
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by e.share desc, t.position
