-- title: How far shares moved
-- description: Every share of a version beside what it was in the version before, at the same places, with the 95 %
--   interval of the change. Posts that both versions hold cancel out of it. “moved” is said only of a change beyond
--   chance among all shares compared; “within chance” is no news. Without a version, the shares of this build.
-- param version = the latest: name of a published version
-- param verdict = all: moved, within chance, or same

with asked as (
  select * from versions
  where version = :version or (:version = '' and position = (select max(position) from versions))
), figures as (
  select measure, subject, value as place, share, low, high, n, n_numerator
  from history where version = (select version from asked)
    and "by" in ('', 'place')
    and window = (select min(window) from history where version = (select version from asked))
  union all
  select measure, subject, value, share, low, high, n, n_numerator
  from estimates join windows using (window)
  where not exists (select 1 from asked) and :version = '' and "by" in ('', 'place') and role = 'all'
    and variant = '' and method = 'process' and share is not null
)
select
  f.measure,
  f.subject,
  coalesce(t.title, ph.title, a.title, case f.subject when 'after_run' then 'After a run' else f.subject end)
    || case when f.measure in ('headline', 'ask') then ', of what is past a run' else '' end as title,
  coalesce(p.short, case f.place when '' then 'Mean of the same places' else f.place end) as place,
  f.place as slug,
  c.share_before,
  coalesce(c.share, f.share) as share,
  coalesce(c.change, 0.0) as change,
  c.low as change_low,
  c.high as change_high,
  f.n,
  f.n_numerator as counted,
  coalesce(c.verdict, 'same') as verdict
from figures f
left join changes c on c.version = (select version from asked) and c.kind = 'move'
  and c.measure = f.measure and c.subject = f.subject and c.place = f.place
left join places p on p.slug = f.place
left join themes t on f.measure = 'theme' and t.slug = f.subject
left join phases ph on f.measure in ('of_100', 'headline') and ph.slug = f.subject
left join asks a on f.measure = 'ask' and a.slug = f.subject
where (:verdict = '' or coalesce(c.verdict, 'same') = :verdict)
order by coalesce(c.verdict, 'same') <> 'moved', coalesce(c.verdict, 'same') = 'same', f.place <> '', p.position,
  f.measure, f.subject
