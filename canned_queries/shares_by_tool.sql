-- title: Phase shares by tool
-- description: Of 100 public signals that name a tool, how many fall in each phase, and the share of evaluate after a run with
--   its interval. Empty where there are too few to tell (fewer than ten signals, or three threads). Pools places, so a
--   tool talked about in one place only carries that place's habits.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=tool&g.x_type=nominal&g.y_column=evaluate&g.y_type=quantitative

select
  e.value as tool,
  max(e.n) filter (where e.measure = 'of_100') as n,
  max(e.share) filter (where e.subject = 'train') as train,
  max(e.share) filter (where e.measure = 'of_100' and e.subject = 'evaluate') as evaluate,
  max(e.share) filter (where e.subject = 'iterate') as iterate,
  max(e.n) filter (where e.measure = 'headline') as n_after_run,
  max(e.share) filter (where e.measure = 'headline') as evaluate_after_run,
  max(e.low) filter (where e.measure = 'headline') as low,
  max(e.high) filter (where e.measure = 'headline') as high,
  max(e.threads) filter (where e.measure = 'of_100') as threads,
  min(e.first_month) as first_month,
  max(e.last_month) as last_month
from estimates e
join windows w on w.window = e.window
where e."by" = 'tool'
  and e.variant = ''
  and e.method = 'process'
  and e.measure in ('of_100', 'headline')
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
group by e.value
order by n desc, e.value
