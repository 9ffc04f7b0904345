-- title: What moves the figure, and how far
-- description: One row a kind of choice: the lowest and the highest figure that a choice of that kind gives, and which
--   choice that is. Sampling stands beside them as the interval for posts like these, places as the lowest and highest
--   place too. Warnings (searches for a theme counted in) are left out.
-- param measure = headline: headline, of_100, after_run or ask
-- param subject = evaluate (after_run; bad): what is counted, as in the table estimates

with asked as (
  select case :measure when '' then 'headline' else :measure end as measure,
    case when :subject <> '' then :subject when :measure = 'after_run' then 'after_run' when :measure = 'ask' then 'bad'
      else 'evaluate' end as subject
), every as (
  select e.*, v.family, v.title, v.position
  from estimates e join asked on e.measure = asked.measure and e.subject = asked.subject
  join windows w on w.window = e.window and w.role = 'all'
  join variants v on v.variant = e.variant and not v.warning
), published as (
  select * from every where variant = '' and "by" = ''
), choices as (
  select family as kind, title, share, position from every
  where "by" = '' and method = 'process' and variant <> '' and share is not null
  union all
  select 'one place alone', p.short, every.share, p.position from every join places p on p.slug = every.value
  where every."by" = 'place' and every.variant = '' and every.method = 'process' and p.frame = 'population' and every.enough = 'enough'
  union all
  select 'the interval for posts like these', 'low end', low, 1 from published where method = 'process' and low is not null
  union all
  select 'the interval for posts like these', 'high end', high, 2 from published where method = 'process' and high is not null
  union all
  select 'the interval for places like these', 'low end', low, 1 from published where method = 'places' and low is not null
  union all
  select 'the interval for places like these', 'high end', high, 2 from published where method = 'places' and high is not null
), ranked as (
  select *, row_number() over (partition by kind order by share, position) as up,
    row_number() over (partition by kind order by share desc, position) as down, count(*) over (partition by kind) as choices
  from choices
)
select
  low_end.kind as choice,
  low_end.share as lowest,
  low_end.title as lowest_with,
  high_end.share as highest,
  high_end.title as highest_with,
  round(high_end.share - low_end.share, 6) as distance,
  case when low_end.kind like '%interval%' then null else low_end.choices end as choices,
  (select share from published where method = 'process') as published
from ranked low_end join ranked high_end on high_end.kind = low_end.kind and high_end.down = 1
where low_end.up = 1
order by distance desc
