-- title: Before and after one post in its theme
-- description: The signals that stand before and after one signal in the list of its theme, in the order of that list, and its
--   place in it.
-- param id = the first signal: id of a signal

with asked as materialized (
  select rowid as row, id, theme from signals where id = case :id when '' then (select min(id) from signals) else :id end
), here as materialized (
  -- Signals are stored in the order of the list.
  select
    asked.id,
    (select count(*) from signals s where s.theme = asked.theme and s.rowid <= asked.row) as rank,
    (select sum(n) from signal_counts s where s.theme = asked.theme) as of,
    (select s.rowid from signals s where s.theme = asked.theme and s.rowid < asked.row order by s.rowid desc limit 1) as before,
    (select s.rowid from signals s where s.theme = asked.theme and s.rowid > asked.row order by s.rowid limit 1) as after
  from asked
  where asked.theme is not null
)
select here.id, here.rank, here.of, b.id as before, b.gist as before_gist, a.id as after, a.gist as after_gist
from here
left join signals b on b.rowid = here.before
left join signals a on a.rowid = here.after
