-- title: All themes at a glance
-- description: Each theme with its question, its share of 100 signals as the mean over places, and how many signals can be
--   read, those found by targeted search and those read by machine among them. Where no mean can be given the share is empty.
-- param phase = all phases: train, evaluate or iterate
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

with found as (
  select theme, sum(n) as signals from signal_counts group by theme
)
select
  t.slug as theme,
  t.title,
  t.phase,
  t.question,
  coalesce(f.signals, 0) as signals,
  e.share,
  e.low,
  e.high,
  e.n,
  e.counted,
  e.threads,
  e.n_places,
  e.enough,
  e.first_month,
  e.last_month
from themes t
left join found f on f.theme = t.slug
left join shares e on e.measure = 'theme' and e.method = 'process' and e."by" = '' and e.role = 'all' and e.subject = t.slug
where :phase in ('', t.phase)
order by t.position
