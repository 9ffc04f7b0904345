-- title: Theme shares
-- description: Of 100 signals with a known theme, how many are mainly about each theme, at one place or as the mean over
--   places, with the interval for posts like these. Ranked.
-- param place = the mean over places: slug of one place
-- param phase = all phases: train, evaluate, iterate, or after (evaluate and iterate)
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=theme&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=phase

select
  themes.title,
  themes.slug as theme,
  themes.phase,
  themes.question,
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
  place
from shares
join themes on themes.slug = subject
where measure = 'theme' and method = 'process'
  and "by" = case :place when '' then '' else 'place' end
  and value = :place
  and (:phase = '' or phase = :phase or (:phase = 'after' and phase <> 'train'))
  and case :window when '' then 'all' else :window end in (role, window)
order by share desc, themes.position
