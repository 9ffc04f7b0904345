-- title: Count it your way
-- description: The figures of the memo, counted again from the table cells with your own choices: which places, months and
--   posts, what weighs, and where a theme belongs. Same formula as the build's. The first row of each measure is the mean
--   over places (or the heap); a mean needs three places with 30 signals each. Leave all empty for the published figures.
-- param places = the places of the mean: slugs of places, joined by commas
-- param first = the beginning: first month, such as 2024-01; undated posts count only where no month is named
-- param last = the end: last month
-- param seen = everything: any of opening, title, comment, joined by commas
-- param sure = all readings: high, for sure readings only
-- param weigh = as drawn: each, so that every post counts as one
-- param heap = each place the same: yes, to count all posts as one heap
-- param moves = the codebook's phases: theme:phase, joined by commas, such as export-load:evaluate

with chosen as (
  select
    case :heap when 'yes' then '' else cells.place end as place,
    cells.place as named,
    cells.place || ' ' || cluster as cluster,
    case
      when instr(',' || :moves || ',', ',' || theme || ':train,') then 'train'
      when instr(',' || :moves || ',', ',' || theme || ':evaluate,') then 'evaluate'
      when instr(',' || :moves || ',', ',' || theme || ':iterate,') then 'iterate'
      else phase end as phase,
    number,
    case :weigh when 'each' then number else weight end as weight
  from cells join places on places.slug = cells.place
  where case :places when '' then places.frame = 'population' else instr(',' || :places || ',', ',' || cells.place || ',') end
    and not (:heap = 'yes' and places.frame = 'targeted')
    and (:first = '' or month >= :first)
    and (:last = '' or month <= :last)
    and (:seen = '' or instr(',' || :seen || ',', ',' || seen || ','))
    and (:sure = '' or sure = :sure)
), measures (measure, subject, position) as (
  values ('of_100', 'train', 1), ('of_100', 'evaluate', 2), ('of_100', 'iterate', 3), ('headline', 'evaluate', 4)
), by_place as (
  select position, measure, subject, chosen.place, chosen.named, sum(weight) as d
  from chosen join measures on measure = 'of_100' or phase <> 'train'
  group by 1, 2, 3, 4, 5
), readers as (
  -- What readers' switching adds, for as many posts as there are; in a heap each place by its part of it.
  select b.position, b.place, sum(r.part * b.d) / (sum(b.d) * sum(b.d)) as part
  from by_place b left join reader_parts r on r.measure = b.measure and r.subject = b.subject and r.place = b.named
  group by b.position, b.place
), by_cluster as (
  select position, measure, subject, place, cluster, sum(number) as n, sum(weight) as d,
    sum(case when phase = subject then weight else 0 end) as y,
    sum(case when phase = subject then number else 0 end) as counted
  from chosen join measures on measure = 'of_100' or phase <> 'train'
  group by position, measure, subject, place, cluster
), totals as (
  select position, measure, subject, place, sum(n) as n, sum(counted) as counted, sum(d) as d, count(*) as k, sum(y) / sum(d) as p
  from by_cluster group by position, place
), spread as (
  select t.*, sum(pow(y - p * c.d, 2) / nullif(1 - c.d / t.d, 0)) / (t.d * t.d) + coalesce(part, 0) as variance
  from totals t join by_cluster c using (position, place) join readers using (position, place)
  group by t.position, t.place
), bounded as (
  select s.*, t * sqrt(variance) / nullif(p * (1 - p), 0) as half, ln(p / nullif(1 - p, 0)) as logit
  from spread s left join student_t on student_t.df = (select max(df) from student_t where df <= s.k - 1)
), each_one as (
  select position, measure, subject, place, p, variance, k - 1.0 as df, n, counted, k,
    case when n < 10 or k < 3 then 'few' when n < 30 then 'about' else 'enough' end as enough,
    case when p > 0 and p < 1 then 1 / (1 + exp(half - logit)) when p = 0 then 0.0 else pow(0.025, 1.0 / k) end as low,
    case when p > 0 and p < 1 then 1 / (1 + exp(-half - logit)) when p = 1 then 1.0 else 1 - pow(0.025, 1.0 / k) end as high
  from bounded
), means as (
  select each_one.position, measure, subject, count(*) as places, avg(p) as p, sum(variance) / (count(*) * count(*)) as variance,
    pow(sum(variance), 2) / nullif(sum(variance * variance / df), 0) as df, sum(n) as n, sum(counted) as counted, sum(k) as k,
    min(p) > 0 and max(p) < 1 as inside,
    max(0.0, avg(p) - sqrt(sum(pow(p - low, 2))) / count(*)) as low, min(1.0, avg(p) + sqrt(sum(pow(high - p, 2))) / count(*)) as high
  from each_one join places on slug = place and frame <> 'targeted'
  where enough = 'enough' and :heap <> 'yes' group by each_one.position
), mean_half as (
  select m.*, t * sqrt(variance) / nullif(p * (1 - p), 0) as half, ln(p / nullif(1 - p, 0)) as logit
  from means m left join student_t on student_t.df = (select max(df) from student_t where df <= max(m.df, 1))
), found as (
  select position, measure, subject, '' as place, places as n_places, p, n, counted, k,
    case when inside then 1 / (1 + exp(half - logit)) else low end as low,
    case when inside then 1 / (1 + exp(-half - logit)) else high end as high,
    case when places >= 3 then 'enough' else 'few' end as enough
  from mean_half
  union all
  select position, measure, subject, place, 1, p, n, counted, k, low, high, enough from each_one
)
select
  measure,
  subject,
  found.place as slug,
  coalesce(places.short, case :heap when 'yes' then 'All as one heap' else case when enough = 'few' then 'No mean: thick enough ' || n_places else 'Mean of ' || n_places || ' places' end end) as place,
  case when enough <> 'few' then round(p, 6) end as share,
  case when enough <> 'few' then round(low, 6) end as low,
  case when enough <> 'few' then round(high, 6) end as high,
  n,
  counted,
  k as clusters,
  n_places,
  enough,
  found.place = '' as apart
from found left join places on places.slug = found.place
order by found.position, found.place <> '', places.position
