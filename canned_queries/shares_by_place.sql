-- title: Phase shares by place
-- description: Every place with its phases of 100 signals, the part after a run, and the share of evaluate after a run with
--   its interval for posts like these. “enters” says what a place may be used for.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=short&g.x_type=nominal&g.y_column=evaluate&g.y_type=quantitative

select
  p.title as place,
  p.short,
  p.slug,
  p.enters,
  max(e.n) filter (where e.measure = 'of_100') as n,
  max(e.share) filter (where e.subject = 'train') as train,
  max(e.share) filter (where e.measure = 'of_100' and e.subject = 'evaluate') as evaluate,
  max(e.share) filter (where e.subject = 'iterate') as iterate,
  max(e.share) filter (where e.measure = 'after_run') as after_run,
  max(e.n) filter (where e.measure = 'headline') as n_after_run,
  max(e.share) filter (where e.measure = 'headline') as evaluate_after_run,
  max(e.low) filter (where e.measure = 'headline') as low,
  max(e.high) filter (where e.measure = 'headline') as high,
  max(e.enough) filter (where e.measure = 'headline') as enough,
  max(e.threads) filter (where e.measure = 'of_100') as threads,
  max(e.clusters) filter (where e.measure = 'of_100') as clusters,
  p.clustered_by,
  min(e.first_month) as first_month,
  max(e.last_month) as last_month
from estimates e
join windows w on w.window = e.window
join places p on p.slug = e.value
where e."by" = 'place'
  and e.variant = ''
  and e.method = 'process'
  and e.measure in ('of_100', 'after_run', 'headline')
  and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
group by p.slug
order by p.position
