-- title: What a version changed, by theme
-- description: Signals that are new, gone, or came from another theme since the version before, theme by theme. Those that
--   only a machine has read are counted apart; they are in no share.
-- param version = the latest: name of a published version

with asked as (
  select * from versions
  where version = :version or (:version = '' and position = (select max(position) from versions))
), told as (
  select subject, kind, measure, signals from changes where version = (select version from asked)
)
select
  t.slug as theme,
  t.title,
  t.phase,
  coalesce(sum(case when kind = 'new' and measure = 'read' then signals end), 0) as new_read,
  coalesce(sum(case when kind = 'new' and measure = 'machine' then signals end), 0) as new_machine,
  coalesce(sum(case kind when 'gone' then signals end), 0) as gone,
  coalesce(sum(case kind when 'relabelled' then signals end), 0) as relabelled
from (select slug, title, phase, position from themes union all select '', 'No theme', null, 999) t
left join told on told.subject = t.slug and kind in ('new', 'gone', 'relabelled')
group by t.slug
order by t.position
