-- title: Search
-- description: Signals that hold all words, best match first (bm25), those that only a machine has read last; twenty a
--   page. The words found stand between ⟦ and ⟧ in “found”. “of” says how many there are in all.
-- param q = evaluation: words to look for
-- param phase = every phase: train, evaluate or iterate
-- param place = every place: slug of a place
-- param page = 1: which page

with hits as materialized (
  select rowid as hit, bm25(signals_fts) as score
  from signals_fts
  where signals_fts match escape_fts(case :q when '' then 'evaluation' else :q end)
), page as materialized (
  select s.rowid as row, h.score, count(*) over () as of
  from hits h
  join signals s on s.rowid = h.hit
  where (:phase = '' or s.phase = :phase)
    and (:place = '' or s.place = :place)
  order by s.labelled_by = 'machine', h.score, s.id
  limit 20 offset 20 * (min(max(cast(:page as integer), 1), 100000) - 1)
)
select
  snippet(signals_fts, -1, '⟦', '⟧', '…', 30) as found,
  s.id,
  s.gist,
  s.title,
  s.theme,
  s.phase,
  s.ask,
  s.tool,
  s.month,
  s.date_of,
  s.community,
  p.short as place,
  s.url,
  s.frame,
  s.labelled_by,
  s.sure,
  round(-page.score, 3) as match,
  page.of
from page
join signals s on s.rowid = page.row
join signals_fts on signals_fts.rowid = page.row
left join places p on p.slug = s.place
where signals_fts match escape_fts(case :q when '' then 'evaluation' else :q end)
order by s.labelled_by = 'machine', page.score, s.id
