-- title: Figures by version
-- description: The published shares of one version, each with its interval, as they were when it was published; so that a
--   figure that was quoted can be found again. Left out: those of this build.
-- param version = this build: name of a published version, as in the table versions
-- param measure = all: of_100, headline, after_run, theme or ask
-- param subject = all: a phase, a theme or an answer to the second question
-- param place = all, and the mean: slug of a place, or "mean"
-- fragment: g.mark=bar&g.x_column=subject&g.x_type=nominal&g.y_column=share&g.y_type=quantitative

with figures as (
  select version, day, measure, subject, "by", value, window, share, low, high, n, n_numerator, threads, clusters,
    n_places, first_month, last_month, enough
  from history join versions using (version) where version = :version
  union all
  select 'this build', null, measure, subject, "by", value, window, share, low, high, n, n_numerator, threads, clusters,
    n_places, first_month, last_month, enough
  from estimates where :version = '' and variant = '' and method = 'process' and share is not null
)
select
  version,
  day,
  measure,
  subject,
  case "by" when '' then 'mean' else "by" end as given_for,
  value,
  coalesce(p.short, case "by" when '' then 'Mean of ' || n_places || ' places' else value end) as name,
  window,
  share,
  low,
  high,
  n,
  n_numerator as counted,
  threads,
  clusters,
  n_places,
  enough,
  first_month,
  last_month
from figures f left join places p on "by" = 'place' and p.slug = value
where (:measure = '' or measure = :measure)
  and (:subject = '' or subject = :subject)
  and (:place = '' or ("by" = 'place' and value = :place) or (:place = 'mean' and "by" = ''))
order by measure, subject, "by", value, window
