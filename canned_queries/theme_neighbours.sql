-- title: Themes that appear together
-- description: Which other themes stand beside one theme in the same signal, and how often; “here_first” where the theme asked
--   for is the main one, “there_first” where the other is. Counts of what was found and read; what a machine alone has
--   read, or a reader corrected, is left out.
-- param theme = did it get better: slug of a theme
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=signals&g.y_type=quantitative&g.color_column=phase

select
  o.theme,
  t.title,
  t.phase,
  count(*) as signals,
  sum(s.role = 'primary') as here_first,
  sum(o.role = 'primary') as there_first
from signals g indexed by idx_signals_labelled_by
-- Those that were read are few: they lead, however many a machine has read.
cross join signal_themes s on s.signal = g.id
join signal_themes o on o.signal = s.signal and o.theme <> s.theme
join themes t on t.slug = o.theme
where g.labelled_by = 'coded' and s.theme = case :theme when '' then 'did-it-get-better' else :theme end
group by o.theme
order by signals desc, t.position
