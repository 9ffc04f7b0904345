-- title: What changed
-- description: The feed of versions, to be read as an Atom feed at /changes.atom: one entry a published version, and one for each theme
--   with new signals in the latest fifty versions. Shares are told only where they moved further than chance.

with site as (
  select
    coalesce(max(case key when 'site_url' then value end), '') as url,
    max(case key when 'latest_month' then value end) as month
  from build_info
), recent as (
  select * from versions where position > (select max(position) from versions) - 50
), told as (
  select
    c.version,
    coalesce(sum(case kind when 'new' then signals end), 0) as new,
    coalesce(sum(case kind when 'gone' then signals end), 0) as gone,
    coalesce(sum(case kind when 'relabelled' then signals end), 0) as relabelled,
    max(case kind when 'compared' then signals end) as compared,
    count(case when kind = 'move' and verdict = 'moved' then 1 end) as moved,
    group_concat(case when kind = 'move' and verdict = 'moved' then
      coalesce((select title from themes t where t.slug = subject), (select title from asks a where a.slug = subject),
        (select title from phases p where p.slug = subject), 'After a run')
      || case when measure in ('headline', 'ask') then ' (of what is past a run)' else '' end
      || case place when '' then ', mean of the same places'
        else ', ' || coalesce((select short from places p where p.slug = place), place) end
      || ': ' || round(100 * share_before, 1) || ' to ' || round(100 * share, 1) || ' of 100 (change '
      || round(100 * low, 1) || ' to ' || round(100 * high, 1) || ')' end, '; ') as which,
    group_concat(case when kind = 'place' then place || ' ' || verdict end, '; ') as breaks
  from changes c group by c.version
)
select
  'urn:tinker-flywheel:version:' || version as atom_id,
  'Version ' || version || case when told.compared is null then '' else ': new signals ' || new end as atom_title,
  day || 'T00:00:00+00:00' as atom_updated,
  site.url || '/history/' || version as atom_link,
  'Version ' || data_version || ' of the data. ' || case
    when told.compared is null then 'Nothing to compare it with.'
    else 'New signals: ' || new || '; gone: ' || gone || '; with another theme: ' || relabelled
      || '. Shares of the same places that moved further than chance: ' || moved || ' of ' || compared || '.' || coalesce(' ' || which || '.', '')
  end || coalesce(' A break: ' || breaks || '.', '') as atom_content
from recent left join told using (version), site
union all
select
  'urn:tinker-flywheel:version:' || v.version || ':' || t.slug,
  t.title || ': new signals ' || sum(signals),
  day || 'T00:00:00+00:00',
  site.url || '/themes/' || t.slug,
  'New signals of the theme “' || t.title || '” in version ' || v.version || ': ' || sum(signals)
    || '. Read by a machine only, and so in no share: '
    || coalesce(sum(case measure when 'machine' then signals end), 0) || '.'
from recent v join changes c on c.version = v.version and c.kind = 'new' join themes t on t.slug = c.subject, site
group by v.version, t.slug
union all
select 'urn:tinker-flywheel:version:none', 'No version has been published yet', month || '-01T00:00:00+00:00',
  url || '/changes', 'This build is the first; a version is published by the weekly refresh.'
from site where not exists (select 1 from versions) and month <> ''
order by atom_updated desc, atom_id
