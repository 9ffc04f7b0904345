-- title: Every choice made otherwise
-- description: The mean over places as it is published (first row), and as it would be had one choice been made
--   otherwise: another place left out, another way to count, another reader, another home for a theme. Blank where fewer
--   than three places stay thick enough; left_out names those that do not.
-- param measure = headline: headline, of_100, after_run or ask
-- param subject = evaluate (after_run; bad): what is counted, as in the table estimates
-- fragment: g.mark=bar&g.x_column=title&g.x_type=nominal&g.y_column=share&g.y_type=quantitative&g.color_column=family

with asked as (
  select case :measure when '' then 'headline' else :measure end as measure,
    case when :subject <> '' then :subject when :measure = 'after_run' then 'after_run' when :measure = 'ask' then 'bad'
      else 'evaluate' end as subject
), every as (
  select e.*, w.role, w.title as window_title
  from estimates e join asked on e.measure = asked.measure and e.subject = asked.subject
  join windows w on w.window = e.window
  where e.method = 'process'
), published as (
  select share from every where "by" = '' and variant = '' and role = 'all'
)
select
  v.variant,
  case every.role when 'recent' then 'which months' else v.family end as family,
  case every.role when 'recent' then every.window_title else v.title end as title,
  case every.role when 'recent' then 'Posts of these months alone.' else v.description end
    || coalesce(' Known for ' || v.known || ' signals.', '') as description,
  every.share,
  every.low,
  every.high,
  round(every.share - published.share, 6) as moved,
  every.n,
  every.n_places,
  (select group_concat(p.short, '; ') from every here join places p on p.slug = here.value
    where here."by" = 'place' and p.frame = 'population' and here.variant = every.variant and here.window = every.window
      and here.enough <> 'enough') as left_out,
  v.warning,
  every.enough
from every join variants v using (variant), published
where every."by" = '' and (every.role = 'all' or every.variant = '')
order by every.role = 'recent', v.position
