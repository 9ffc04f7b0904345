-- title: One post and its copies
-- description: The post that was kept, then the posts that say the same and were folded into it, with how that was found. Of a
--   copy only the id is kept here.
-- param id = the first signal: id of the post that was kept

with asked as (
  select case :id when '' then (select min(id) from signals) else :id end as id
)
select asked.id, 'kept' as role, null as method, null as similarity from asked
union all
select d."drop", 'copy', d.method, d.similarity from duplicates d join asked on d.keep = asked.id
order by role desc, similarity desc, id
