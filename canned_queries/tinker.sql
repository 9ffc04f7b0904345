-- title: Tinker's own trackers beside other trackers
-- description: What was found by search on the vendor's own trackers (issues only), theme by theme, with its rank, beside the
--   same theme on searched GitHub tuning trackers and on GitHub engines and libraries. Counts of what was found: the
--   searches named themes, so a rank tells what could be found, not what is common. The interval is for posts like these.
-- param phase = all phases: train, evaluate, iterate, or after (evaluate and iterate)
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=found&g.y_type=quantitative&g.color_column=phase

with e as (
  select estimates.* from estimates join windows w on w.window = estimates.window and w.role = 'all'
  where measure = 'theme' and variant = '' and method = 'process' and "by" = 'place'
)
select
  t.title,
  t.slug as theme,
  t.phase,
  tinker.n_numerator as found,
  tinker.n_numerator || ' found' as counted,
  tinker.n,
  rank() over (order by tinker.n_numerator desc) as rank,
  tinker.share,
  tinker.low,
  tinker.high,
  tinker.enough,
  searched.share as trackers_share,
  searched.low as trackers_low,
  searched.high as trackers_high,
  searched.n as trackers_n,
  engines.share as engines_share,
  engines.low as engines_low,
  engines.high as engines_high,
  engines.n as engines_n
from themes t
join e tinker on tinker.subject = t.slug and tinker.value = 'tinker-trackers'
left join e searched on searched.subject = t.slug and searched.value = 'github-trackers'
left join e engines on engines.subject = t.slug and engines.value = 'github-engines'
where :phase = '' or t.phase = :phase or (:phase = 'after' and t.phase <> 'train')
order by found desc, t.position
