-- title: Phase shares by tool
-- description: Of 100 public signals that name a tool, how many fall in each phase, and the share of evaluate after a run with
--   its interval. Empty where there are too few to tell (fewer than ten signals, or three threads). Pools places, so a
--   tool talked about in one place only carries that place's habits.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=tool&g.x_type=nominal&g.y_column=evaluate&g.y_type=quantitative

select
  value as tool,
  max(n) filter (where measure = 'of_100') as n,
  max(share) filter (where subject = 'train') as train,
  max(share) filter (where measure = 'of_100' and subject = 'evaluate') as evaluate,
  max(share) filter (where subject = 'iterate') as iterate,
  max(n) filter (where measure = 'headline') as n_after_run,
  max(share) filter (where measure = 'headline') as evaluate_after_run,
  max(low) filter (where measure = 'headline') as low,
  max(high) filter (where measure = 'headline') as high,
  max(threads) filter (where measure = 'of_100') as threads,
  max(enough) filter (where subject = 'train') as enough,
  min(first_month) as first_month,
  max(last_month) as last_month
from shares
where "by" = 'tool' and method = 'process' and measure in ('of_100', 'headline')
  and case :window when '' then 'all' else :window end in (role, window)
group by value
order by n desc, value
