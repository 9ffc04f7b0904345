-- title: Tools named in signals of one phase
-- description: Which tools and services the public signals of one phase name, how many signals name each, and how many of all
--   its signals those are. Counts of what was found, searches by theme among them, so no shares: a tool with a large tracker
--   is named often.
-- param phase = iterate: train, evaluate or iterate
-- fragment: g.mark=bar&g.x_column=tool&g.x_type=nominal&g.y_column=signals&g.y_type=quantitative

select tool, count(*) filter (where phase = case :phase when '' then 'iterate' else :phase end) as signals, count(*) as of_all,
  count(distinct community) as communities
from signals
where tool is not null and corpus = 'public' and labelled_by in ('coded', 'corrected') and theme is not null
group by tool
having signals >= 3
order by signals desc, tool
limit 20
