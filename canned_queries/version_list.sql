-- title: Published versions
-- description: Every published version, the latest first, with its permanent page and the version of its data. The last
--   row is this build as it is, published or not.

select
  version,
  day,
  data_version,
  position,
  n_shares,
  (select sum(signals) from changes c where c.version = v.version and kind = 'new') as new,
  (select sum(signals) from changes c where c.version = v.version and kind = 'gone') as gone,
  '/history/' || version as page
from versions v
union all
select 'this build', (select value from build_info where key = 'latest_month') || '-01',
  (select value from build_info where key = 'data_version'), 0,
  (select count(*) from estimates where variant = '' and method = 'process' and share is not null), null, null,
  '/signals/figures_by_version'
order by position desc
