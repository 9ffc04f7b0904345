-- title: What each theme after a run asks for
-- description: Of the counted signals of each theme of evaluate and iterate, how many say that it came out wrong (bad), ask how
--   to judge it (judge), how to go on (next), name a missing feature (want) or something else. Counts, all public places.
-- param phase = evaluate and iterate: evaluate or iterate
-- fragment: g.mark=bar&g.x_column=theme&g.x_type=nominal&g.y_column=n&g.y_type=quantitative

select t.title as theme, t.slug, t.phase, t.question, sum(c.number) as n,
  sum(case c.ask when 'bad' then c.number else 0 end) as bad,
  sum(case c.ask when 'judge' then c.number else 0 end) as judge,
  sum(case c.ask when 'next' then c.number else 0 end) as next,
  sum(case c.ask when 'want' then c.number else 0 end) as want,
  sum(case c.ask when 'other' then c.number else 0 end) as other
from themes t join cells c on c.theme = t.slug
where t.phase <> 'train' and c.corpus = 'public' and (:phase = '' or t.phase = :phase)
group by t.slug
order by n desc, t.position
