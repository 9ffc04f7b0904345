-- title: After a run: evaluate against iterate
-- description: Of 100 signals after a run (evaluate and iterate), how many ask how that run came out. One row a place,
--   and two for their mean: method process is the interval for posts like these, method places the wider one for
--   places like these. A mean needs three places with 30 signals each.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
  title as place,
  place as short,
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
  last_month,
  n_places,
  method,
  value = '' as apart,
  note
from shares
where measure = 'headline' and "by" in ('', 'place') and method in ('process', 'places')
  and case :window when '' then 'all' else :window end in (role, window)
order by place_position, method = 'places'
