-- title: Tools and model families named in a theme
-- description: How often the signals of one theme name each tool or model family, and of how many signals that name it at all.
--   Counts of what was found, targeted searches among them and machine-read signals left out; a tool that is talked about
--   in one place brings that place's habits. The twelve named most.
-- param theme = did it get better: slug of a theme
-- param kind = tool: tool or model
-- fragment: g.mark=bar&g.x_column=name&g.x_type=nominal&g.y_column=signals&g.y_type=quantitative

with named as (
  select case :kind when 'model' then model else tool end as name, theme, n from signal_counts where labelled_by <> 'machine'
), counts as (
  select name, sum(case when theme = case :theme when '' then 'did-it-get-better' else :theme end then n else 0 end) as signals, sum(n) as n
  from named
  where name is not null
  group by name
)
select name, signals, n, sum(signals) over () as all_named, count(*) over () as names
from counts
where signals > 0
order by signals desc, n, name
limit 12
