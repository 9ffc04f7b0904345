-- title: The part that is past a run
-- description: Of 100 signals with a known theme, how many are past a run (evaluate or iterate): the mean and every place, with
--   the interval for posts like these.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
  place,
  value as slug,
  enters,
  share,
  low,
  high,
  n,
  counted,
  threads,
  clusters,
  enough,
  first_month,
  last_month
from shares
where measure = 'after_run' and "by" in ('', 'place') and method = 'process'
  and case :window when '' then 'all' else :window end in (role, window)
order by place_position
