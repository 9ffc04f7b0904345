-- title: Over time
-- description: Of 100 signals with a known theme, the share of one phase or theme, place by place and quarter by quarter (or
--   month by month), with the interval for posts like these, worked out here from the table cells by the same formula
--   as the build's. Places do not overlap in time: compare a place with itself. Months of the OpenAI forum are estimated.
-- param subject = evaluate: a phase or the slug of a theme
-- param place = every place: slug of a place
-- param step = quarter: half, quarter or month
-- fragment: g.mark=line&g.x_column=period&g.x_type=ordinal&g.y_column=share&g.y_type=quantitative&g.color_column=place

with asked as (
  select
    place,
    case :step when 'month' then month
      when 'half' then substr(month, 1, 4) || '-H' || ((cast(substr(month, 6, 2) as integer) + 5) / 6)
      else substr(month, 1, 4) || '-Q' || ((cast(substr(month, 6, 2) as integer) + 2) / 3) end as period,
    cluster,
    sum(number) as n,
    sum(weight) as denominator,
    sum(case when case :subject when '' then 'evaluate' else :subject end in (phase, theme) then weight else 0 end)
      as numerator,
    sum(case when case :subject when '' then 'evaluate' else :subject end in (phase, theme) then number else 0 end)
      as counted
  from cells
  where month is not null and (:place = '' or place = :place)
  group by 1, 2, 3
), totals as (
  select place, period, sum(n) as n, sum(counted) as counted, sum(denominator) as d, count(*) as k,
    sum(numerator) / sum(denominator) as p
  from asked group by place, period
), spread as (
  select t.*, sum(pow(a.numerator - t.p * a.denominator, 2) / nullif(1 - a.denominator / t.d, 0)) / (t.d * t.d)
    + coalesce((select part / t.d from reader_parts r where r.place = t.place and r.measure in ('of_100', 'theme')
        and r.subject = case :subject when '' then 'evaluate' else :subject end), 0) as variance
  from totals t join asked a using (place, period) group by t.place, t.period
), halved as (
  select *, ln(p / nullif(1 - p, 0)) as logit,
    (select t from student_t where df <= k - 1 order by df desc limit 1) * sqrt(variance) / nullif(p * (1 - p), 0) as half
  from spread
)
select
  places.short as place,
  halved.place as slug,
  places.enters,
  (select phase from themes where slug = :subject union all select slug from phases where slug = case :subject when '' then 'evaluate' else :subject end) as phase,
  period,
  case when n >= 10 and k >= 3 then round(p, 6) end as share,
  case when n < 10 or k < 3 then null when p > 0 and p < 1 then round(1 / (1 + exp(half - logit)), 6)
    when p = 0 then 0.0 else round(pow(0.025, 1.0 / k), 6) end as low,
  case when n < 10 or k < 3 then null when p > 0 and p < 1 then round(1 / (1 + exp(-half - logit)), 6)
    when p = 1 then 1.0 else round(1 - pow(0.025, 1.0 / k), 6) end as high,
  n,
  counted,
  k as clusters,
  case when n < 10 or k < 3 then 'few' when n < 30 then 'about' else 'enough' end as enough
from halved join places on places.slug = halved.place
order by places.position, period
