-- title: Phase shares by place
-- description: Every place with its phases of 100 signals, the part after a run, and the share of evaluate after a run with
--   its interval for posts like these. “enters” says what a place may be used for.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=short&g.x_type=nominal&g.y_column=evaluate&g.y_type=quantitative

select
  title as place,
  place as short,
  value as slug,
  enters,
  max(n) filter (where measure = 'of_100') as n,
  max(share) filter (where subject = 'train') as train,
  max(share) filter (where measure = 'of_100' and subject = 'evaluate') as evaluate,
  max(share) filter (where subject = 'iterate') as iterate,
  max(share) filter (where measure = 'after_run') as after_run,
  max(n) filter (where measure = 'headline') as n_after_run,
  max(share) filter (where measure = 'headline') as evaluate_after_run,
  max(low) filter (where measure = 'headline') as low,
  max(high) filter (where measure = 'headline') as high,
  max(enough) filter (where measure = 'headline') as enough,
  max(threads) filter (where measure = 'of_100') as threads,
  max(clusters) filter (where measure = 'of_100') as clusters,
  clustered_by,
  min(first_month) as first_month,
  max(last_month) as last_month
from shares
where "by" = 'place' and method = 'process' and measure in ('of_100', 'after_run', 'headline')
  and case :window when '' then 'all' else :window end in (role, window)
group by value
order by place_position
