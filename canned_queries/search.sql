-- title: Search
-- description: Signals that hold all words and pass all filters, twenty a page. Posts that only a machine has read come last;
--   with words the best match leads (bm25 over word stems), without them clear themes, then the newest. The words found
--   stand between ⟦ and ⟧ in “found”. “of” says how many there are in all. A filter takes “none” for what is not known.
--   Of posts that hold the words the first 10,000 in the order without words are ranked and counted (of Chinese, Japanese
--   and Korean, those among the first 100,000 signals). Includes signals found by targeted search: read them, do not
--   count them.
-- param q = no words, all signals: words that must occur in the gist, title or excerpt; Chinese, Japanese and Korean as any part of them
-- param theme = every theme: slug of the main theme
-- param beside = any: slug of a second theme that stands beside the main one
-- param phase = every phase: train, evaluate or iterate
-- param ask = every answer: what is asked after a run: bad, judge, next, want or other
-- param place = every place: slug of a place
-- param tool = every tool: name of a library or service
-- param model = every model: name of a model family
-- param year = every year: a year like 2025
-- param seen = all: what the reader saw: opening, title or comment
-- param frame = all: how it was found: population, neutral or targeted
-- param labelled_by = all: coded (read), corrected (by a reader of this site) or machine
-- param page = 1: which page
-- param size = 20: signals a page, up to 5000

with asked as materialized (
  select
    min(max(cast(case :size when '' then 20 else :size end as integer), 1), 5000) as size,
    min(max(cast(:page as integer), 1), 100000) - 1 as pages_before
), hits as materialized (
  select * from (
    select rowid as row, bm25(signals_fts) as score
    from signals_fts
    -- The empty phrase keeps words without a letter from being an error; it matches nothing and excludes nothing.
    where signals_fts match '"" ' || escape_fts(case when :q glob '*[぀-ヿ㐀-鿿가-힣]*' then '' else :q end)
    -- Of a million signals a frequent word finds most, and to rank them all takes four seconds; 10,000 take 0.05.
    order by rowid limit 10000
  )
  union all
  -- The index knows no word borders in these scripts, so each piece is looked for as it stands.
  select s.rowid, 0.0
  from signals s
  where :q glob '*[぀-ヿ㐀-鿿가-힣]*' and s.rowid <= 100000
    and not exists (
      select 1 from json_each('[' || replace(json_quote(trim(:q)), ' ', '","') || ']') piece
      where instr(coalesce(s.title, '') || ' ' || coalesce(s.excerpt, '') || ' ' || coalesce(s.gist, ''), piece.value) = 0
    )
  union all
  select g.rowid, 0.0
  from signal_themes b
  join signals g on g.id = b.signal
  where trim(:q) = '' and :beside <> '' and b.theme = :beside
), counted as materialized (
  -- Without words nothing is searched: how many there are has been counted by the build.
  select coalesce(sum(n), 0) as n
  from signal_counts s
  where trim(:q) = '' and :beside = '' and :theme in ('', coalesce(s.theme, 'none'))
    and :phase in ('', coalesce(s.phase, 'none'))
    and :ask in ('', coalesce(s.ask, 'none'))
    and :place in ('', coalesce(s.place, 'none'))
    and :tool in ('', coalesce(s.tool, 'none'))
    and :model in ('', coalesce(s.model, 'none'))
    and :year in ('', coalesce(s.year, 'none'))
    and :seen in ('', s.seen)
    and :frame in ('', s.frame)
    and :labelled_by in ('', s.labelled_by)
), page as materialized (
  select * from (
    select s.rowid as row, s.labelled_by = 'machine' as by_machine, h.score, count(*) over () as of
    from hits h
    cross join signals s on s.rowid = h.row
    where :theme in ('', coalesce(s.theme, 'none'))
      and (:beside = '' or s.rowid in (
        select g.rowid from signal_themes b join signals g on g.id = b.signal where b.theme = :beside))
      and :phase in ('', coalesce(s.phase, 'none'))
      and :ask in ('', coalesce(s.ask, 'none'))
      and :place in ('', coalesce(s.place, 'none'))
      and :tool in ('', coalesce(s.tool, 'none'))
      and :model in ('', coalesce(s.model, 'none'))
      and :year in ('', coalesce(substr(s.month, 1, 4), 'none'))
      and :seen in ('', s.seen)
      and :frame in ('', s.frame)
      and :labelled_by in ('', s.labelled_by)
    order by by_machine, h.score, s.rowid
    limit (select size from asked) offset (select size * pages_before from asked)
  )
  union all
  -- Signals are stored in the order of this list, so that only those of the page are read, and none once all are found.
  select row, by_machine, 0.0, (select n from counted) from (
    select s.rowid as row, s.labelled_by = 'machine' as by_machine
    from signals s
    where s.theme = :theme
      and :phase in ('', coalesce(s.phase, 'none'))
      and :ask in ('', coalesce(s.ask, 'none'))
      and :place in ('', coalesce(s.place, 'none'))
      and :tool in ('', coalesce(s.tool, 'none'))
      and :model in ('', coalesce(s.model, 'none'))
      and :year in ('', coalesce(substr(s.month, 1, 4), 'none'))
      and :seen in ('', s.seen)
      and :frame in ('', s.frame)
      and :labelled_by in ('', s.labelled_by)
    order by s.rowid
    limit (select max(0, min(size, n - size * pages_before)) from asked, counted)
    offset (select size * pages_before from asked)
  )
  union all
  select row, by_machine, 0.0, (select n from counted) from (
    select s.rowid as row, s.labelled_by = 'machine' as by_machine
    from signals s
    where (:theme = '' or :theme = 'none' and s.theme is null)
      and :phase in ('', coalesce(s.phase, 'none'))
      and :ask in ('', coalesce(s.ask, 'none'))
      and :place in ('', coalesce(s.place, 'none'))
      and :tool in ('', coalesce(s.tool, 'none'))
      and :model in ('', coalesce(s.model, 'none'))
      and :year in ('', coalesce(substr(s.month, 1, 4), 'none'))
      and :seen in ('', s.seen)
      and :frame in ('', s.frame)
      and :labelled_by in ('', s.labelled_by)
    order by s.rowid
    limit (select case when :theme in ('', 'none') then max(0, min(size, n - size * pages_before)) else 0 end from asked, counted)
    offset (select size * pages_before from asked)
  )
)
select
  case when trim(:q) <> '' then coalesce(
    (select highlight(signals_fts, 2, '⟦', '⟧') from signals_fts
      where signals_fts match '"" ' || escape_fts(:q) and rowid = page.row),
    s.gist) end as found,
  s.id,
  s.gist,
  s.title,
  s.theme,
  t.title as theme_title,
  s.phase,
  s.ask,
  a.title as ask_title,
  s.tool,
  s.model,
  s.month,
  s.date_of,
  s.community,
  p.short as place,
  s.url,
  s.seen,
  s.frame,
  s.labelled_by,
  s.sure,
  round(-page.score, 3) as match,
  page.of
from page
join signals s on s.rowid = page.row
left join themes t on t.slug = s.theme
left join asks a on a.slug = s.ask
left join places p on p.slug = s.place
order by page.by_machine, page.score, page.row
