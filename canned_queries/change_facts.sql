-- title: What a version changed, in one row
-- description: How many signals are new, gone or have another theme since the version before, and how many shares of the
--   same places moved further than chance. Null where there is nothing to compare with.
-- param version = the latest: name of a published version

with asked as (
  select * from versions
  where version = :version or (:version = '' and position = (select max(position) from versions))
), told as (
  select * from changes where version = (select version from asked)
)
select
  (select count(*) from versions) as n_versions,
  (select version from asked) as version,
  (select day from asked) as day,
  (select data_version from asked) as data_version,
  (select version from versions where position = (select position - 1 from asked)) as earlier,
  (select signals from told where kind = 'compared') as compared,
  (select coalesce(sum(signals), 0) from told where kind = 'new') as new,
  (select coalesce(sum(signals), 0) from told where kind = 'new' and measure = 'machine') as new_machine,
  (select coalesce(sum(signals), 0) from told where kind = 'gone') as gone,
  (select coalesce(sum(signals), 0) from told where kind = 'relabelled') as relabelled,
  (select count(*) from told where kind = 'move') as changed,
  (select count(*) from told where kind = 'move' and verdict = 'moved') as moved
