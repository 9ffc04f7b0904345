-- title: One theme, place by place
-- description: Of 100 signals with a known theme, how many are mainly about one theme: the mean, then each place, then
--   the searched places that stand beside it.
-- param theme = did it get better: slug of a theme
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=place&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

select
  place,
  value as slug,
  themes.phase,
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
join themes on themes.slug = subject
where measure = 'theme' and method = 'process' and "by" in ('', 'place')
  and subject = case :theme when '' then 'did-it-get-better' else :theme end
  and case :window when '' then 'all' else :window end in (role, window)
order by place_position
