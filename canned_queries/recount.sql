-- title: A share worked out from the cells
-- description: The published figure of a place, done again in SQL from the table cells: share, linearised variance over
--   clusters and what readers' switching adds, Student's t on the logit scale. Change it to ask your own question. The row of “estimates” with method
--   process says the same.
-- param place = r/LocalLLaMA and other AI subreddits: slug of a place
-- param among = all signals: all, or after (only evaluate and iterate)
-- param subject = evaluate: a phase, the slug of a theme, or an ask such as judge

with asked as (
  select
    cluster,
    sum(weight) as denominator,
    sum(number) as n,
    sum(case when case :subject when '' then 'evaluate' else :subject end in (phase, theme, coalesce(ask, ''))
      then weight else 0 end) as numerator
  from cells
  where place = case :place when '' then 'reddit' else :place end
    and (:among <> 'after' or phase <> 'train')
  group by cluster
), total as (
  select sum(numerator) as y, sum(denominator) as d, sum(n) as n, count(*) as k, sum(numerator) / sum(denominator) as p
  from asked
), spread as (
  select total.*, sum(pow(numerator - p * denominator, 2) / nullif(1 - denominator / d, 0)) / (d * d)
    + coalesce((select part / d from reader_parts r where r.place = case :place when '' then 'reddit' else :place end
        and r.subject = case :subject when '' then 'evaluate' else :subject end
        and r.measure in (case :among when 'after' then 'headline' else 'of_100' end,
          case :among when 'after' then 'ask' else 'theme' end)), 0) as variance
  from total, asked
)
select
  round(p, 6) as share,
  round(case when p > 0 and p < 1 then 1 / (1 + exp(t * sqrt(variance) / (p * (1 - p)) - ln(p / (1 - p))))
    when p = 0 then 0 else pow(0.025, 1.0 / k) end, 6) as low,
  round(case when p > 0 and p < 1 then 1 / (1 + exp(-t * sqrt(variance) / (p * (1 - p)) - ln(p / (1 - p))))
    when p = 1 then 1 else 1 - pow(0.025, 1.0 / k) end, 6) as high,
  n,
  k as clusters,
  round(variance, 12) as variance
from spread, student_t
where student_t.df = (select max(df) from student_t where df <= spread.k - 1)
