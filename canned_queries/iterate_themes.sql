-- title: The themes of the next run
-- description: Each theme of iterate: its share of 100 signals as the mean over places, how many signals name it first, and
--   how many name it second beside a theme of evaluate, where it hides. Counts include targeted rows.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=named_first&g.y_type=quantitative

select
  t.title,
  t.slug as theme,
  t.question,
  e.share,
  e.low,
  e.high,
  e.n,
  e.n_numerator as counted,
  e.threads,
  e.clusters,
  e.enough,
  e.first_month,
  e.last_month,
  (select count(*) from signal_themes s where s.theme = t.slug and s.role = 'primary') as named_first,
  (select count(*) from signal_themes s where s.theme = t.slug and s.role = 'secondary') as named_second,
  (select count(*) from signal_themes s join signals g on g.id = s.signal
    where s.theme = t.slug and s.role = 'secondary' and g.phase = 'evaluate') as inside_evaluate
from themes t
join estimates e on e.subject = t.slug and e.measure = 'theme' and e."by" = '' and e.variant = '' and e.method = 'process'
join windows w on w.window = e.window
where t.phase = 'iterate' and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
order by e.share desc, t.position
