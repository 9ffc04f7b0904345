-- title: The eighteen themes
-- description: Every theme with its question and the number of signals that name it first, targeted ones among them. Counts
--   of what was found, no shares.
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=signals&g.y_type=quantitative&g.color_column=phase

select t.slug as theme, t.title, t.phase, t.question, coalesce(sum(s.n), 0) as signals
from themes t
left join signal_counts s on s.theme = t.slug
group by t.slug
order by t.position
