-- title: Of 100 signals, by phase
-- description: Of 100 signals with a known theme, how many are about getting a run done (train), how a run came out
--   (evaluate) and the next run (iterate). The mean gives each place the same weight and needs three places;
--   searched places stand beside it. The interval is for posts like these (method process).
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  place,
  value as slug,
  enters,
  subject as phase,
  share,
  low,
  high,
  n,
  counted,
  threads,
  clusters,
  enough,
  first_month,
  last_month,
  n_places,
  value = '' as apart
from shares
join phases on phases.slug = subject
where measure = 'of_100' and "by" in ('', 'place') and method = 'process'
  and case :window when '' then 'all' else :window end in (role, window)
order by place_position, phases.position
