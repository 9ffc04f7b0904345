-- title: The themes of the next run
-- description: Each theme of iterate: its share of 100 signals as the mean over places, how many signals name it first, and
--   how many name it second beside a theme of evaluate, where it hides. Counts include targeted rows.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=named_first&g.y_type=quantitative

select
  themes.title,
  themes.slug as theme,
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
  (select sum(n) from signal_counts s where s.theme = subject) as named_first,
  (select count(*) from signal_themes s where s.theme = subject and s.role = 'secondary') as named_second,
  (select count(*) from signal_themes s join signals g on g.id = s.signal
    where s.theme = subject and s.role = 'secondary' and g.phase = 'evaluate') as inside_evaluate
from shares
join themes on themes.slug = subject
where measure = 'theme' and method = 'process' and "by" = '' and phase = 'iterate'
  and case :window when '' then 'all' else :window end in (role, window)
order by share desc, themes.position
