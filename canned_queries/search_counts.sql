-- title: What a search could be narrowed to
-- description: For the same words and filters as the query “search”, how many signals each value of each filter would leave. A
--   filter that is set does not count against its own values, so “n” is what choosing the value gives. The row of filter
--   “all” is the search itself. With words the first 10,000 posts are counted, as in “search”. “n_values” says how many
--   values a filter has; of tools the forty named most are listed.
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

with hits as materialized (
  select * from (
    select rowid as row
    from signals_fts
    where signals_fts match '"" ' || escape_fts(case when :q glob '*[぀-ヿ㐀-鿿가-힣]*' then '' else :q end)
    order by rowid limit 10000
  )
  union all
  select s.rowid
  from signals s
  where :q glob '*[぀-ヿ㐀-鿿가-힣]*' and s.rowid <= 100000
    and not exists (
      select 1 from json_each('[' || replace(json_quote(trim(:q)), ' ', '","') || ']') piece
      where instr(coalesce(s.title, '') || ' ' || coalesce(s.excerpt, '') || ' ' || coalesce(s.gist, ''), piece.value) = 0
    )
  union all
  select g.rowid from signal_themes b join signals g on g.id = b.signal
  where trim(:q) = '' and :beside <> '' and b.theme = :beside
), kinds as materialized (
  -- With words the search index leads; without, all that is asked has been counted.
  select s.theme, s.phase, s.ask, s.place, s.tool, substr(s.month, 1, 4) as year, s.seen, s.frame, s.labelled_by,
    count(*) as n
  from hits h cross join signals s on s.rowid = h.row
  where :model in ('', coalesce(s.model, 'none'))
    and (:beside = '' or s.rowid in (
      select g.rowid from signal_themes b join signals g on g.id = b.signal where b.theme = :beside))
  group by 1, 2, 3, 4, 5, 6, 7, 8, 9
  union all
  select s.theme, s.phase, s.ask, s.place, s.tool, s.year, s.seen, s.frame, s.labelled_by, sum(s.n)
  from signal_counts s
  where trim(:q) = '' and :beside = '' and :model in ('', coalesce(s.model, 'none'))
  group by 1, 2, 3, 4, 5, 6, 7, 8, 9
), judged as (
  select *,
    :theme not in ('', coalesce(theme, 'none')) as off_theme,
    :phase not in ('', coalesce(phase, 'none')) as off_phase,
    :ask not in ('', coalesce(ask, 'none')) as off_ask,
    :place not in ('', coalesce(place, 'none')) as off_place,
    :tool not in ('', coalesce(tool, 'none')) as off_tool,
    :year not in ('', coalesce(year, 'none')) as off_year,
    :seen not in ('', seen) as off_seen,
    :frame not in ('', frame) as off_frame,
    :labelled_by not in ('', labelled_by) as off_label
  from kinds
), near as materialized (
  -- What fails two filters is in no count.
  select *, off_theme + off_phase + off_ask + off_place + off_tool + off_year + off_seen + off_frame + off_label as off
  from judged
  where off_theme + off_phase + off_ask + off_place + off_tool + off_year + off_seen + off_frame + off_label < 2
), counts as (
  select 0 as position, 'all' as filter, '' as value, coalesce(sum(n), 0) as n from near where off = 0
  union all select 1, 'phase', coalesce(phase, 'none'), sum(n) from near where off = off_phase group by phase
  union all select 2, 'theme', coalesce(theme, 'none'), sum(n) from near where off = off_theme group by theme
  union all select 3, 'ask', coalesce(ask, 'none'), sum(n) from near where off = off_ask group by ask
  union all select 4, 'place', coalesce(place, 'none'), sum(n) from near where off = off_place group by place
  union all select 5, 'tool', coalesce(tool, 'none'), sum(n) from near where off = off_tool group by tool
  union all select 6, 'year', coalesce(year, 'none'), sum(n) from near where off = off_year group by year
  union all select 7, 'seen', seen, sum(n) from near where off = off_seen group by seen
  union all select 8, 'frame', frame, sum(n) from near where off = off_frame group by frame
  union all select 9, 'labelled_by', labelled_by, sum(n) from near where off = off_label group by labelled_by
  -- A value that is asked for is listed, also where it leaves nothing.
  union all select column1, column2, column3, 0 from (values
    (1, 'phase', :phase), (2, 'theme', :theme), (3, 'ask', :ask), (4, 'place', :place), (5, 'tool', :tool),
    (6, 'year', :year), (7, 'seen', :seen), (8, 'frame', :frame), (9, 'labelled_by', :labelled_by)
  ) where column3 <> ''
), words(filter, value, title, position) as (
  select 'phase', slug, title || ': ' || short, position from phases
  union all select 'theme', slug, title, position from themes
  union all select 'ask', slug, title, position from asks
  union all select 'place', slug, short, position from places
  union all values
    ('phase', 'none', 'theme unknown', 99), ('theme', 'none', 'theme unknown', 99), ('ask', 'none', 'not asked', 99),
    ('place', 'none', 'no place', 99), ('tool', 'none', 'no tool named', 1), ('year', 'none', 'no date', 1),
    ('seen', 'opening', 'title and text', 1), ('seen', 'title', 'the title alone', 2), ('seen', 'comment', 'a comment', 3),
    ('frame', 'population', 'drawn from an archive', 1), ('frame', 'neutral', 'searched, no theme named', 2),
    ('frame', 'targeted', 'searched by theme, in no share', 3),
    ('labelled_by', 'corrected', 'corrected by a reader', 1), ('labelled_by', 'coded', 'read', 2),
    ('labelled_by', 'machine', 'by machine alone', 3)
)
select
  c.filter,
  c.value,
  coalesce(w.title, c.value) as title,
  c.n,
  c.n_values
from (
  select position, filter, value, sum(n) as n, count(*) over (partition by filter) as n_values,
    row_number() over (partition by filter order by sum(n) desc, value) as rank
  from counts
  group by position, filter, value
) c
left join words w on w.filter = c.filter and w.value = c.value
where c.filter <> 'tool' or c.rank <= 40 or c.value in (:tool, 'none')
order by c.position, coalesce(w.position, 0), case c.filter when 'year' then -c.value else 0 end, c.n desc, c.value
