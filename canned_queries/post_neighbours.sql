-- title: Before and after one post in its theme
-- description: The signals that stand before and after one signal in the list of its theme, in the order of that list, and its
--   place in it.
-- param id = the first signal: id of a signal

with asked as materialized (
  select id, theme from signals where id = case :id when '' then (select min(id) from signals) else :id end
), ranked as (
  select id,
    lag(id) over ranks as before,
    lead(id) over ranks as after,
    row_number() over ranks as rank,
    count(*) over () as of
  from signals
  where theme = (select theme from asked)
  window ranks as (order by labelled_by = 'machine', sure = 'low', month is null, month desc, id)
), here as materialized (
  select ranked.* from ranked where ranked.id = (select id from asked)
)
select here.id, here.rank, here.of, here.before, b.gist as before_gist, here.after, a.gist as after_gist
from here
left join signals b on b.id = here.before
left join signals a on a.id = here.after
