-- title: What people ask after a run
-- description: Of 100 signals after a run (evaluate and iterate), by the second question: it came out wrong (bad), how to go
--   on (next), how to judge it (judge), a named want (want), something else. The mean over places, or each place.
-- param place = the mean and every place: slug of one place, or mean
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=ask&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=place

select
  asks.slug as ask,
  asks.title,
  asks.description,
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
  last_month,
  n_places,
  value = '' as apart,
  note
from shares
join asks on asks.slug = subject
where measure = 'ask' and method = 'process' and "by" in ('', 'place')
  and (:place = '' or value = case :place when 'mean' then '' else :place end)
  and case :window when '' then 'all' else :window end in (role, window)
order by place_position, asks.position
