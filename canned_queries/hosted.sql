-- title: A hosted service's forum beside Reddit
-- description: Each theme of 100 signals on the OpenAI forum (titles, 2021 to mid 2024) and on Reddit (2025 and 2026), and the
--   difference. The two lie in different years and titles tell less than openings, so a difference is not an effect of
--   hosting.
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=forum_share&g.y_type=quantitative&g.color_column=phase

with e as (
  select estimates.* from estimates join windows w on w.window = estimates.window and w.role = 'all'
  where measure = 'theme' and variant = '' and method = 'process' and "by" = 'place'
)
select
  t.title,
  t.slug as theme,
  t.phase,
  t.question,
  f.share as forum_share,
  f.low as forum_low,
  f.high as forum_high,
  f.n_numerator as forum_counted,
  f.n as forum_n,
  r.share as reddit_share,
  r.low as reddit_low,
  r.high as reddit_high,
  r.n as reddit_n,
  rank() over (order by f.share desc) as forum_rank,
  rank() over (partition by t.phase order by f.share desc) as forum_rank_in_phase
from themes t
join e f on f.subject = t.slug and f.value = 'openai-forum'
join e r on r.subject = t.slug and r.value = 'reddit'
order by f.share desc, t.position
