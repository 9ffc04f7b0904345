-- title: What one reading said and what the other
-- description: How many posts that were read twice, blind, got which answer from the first reading and which from the second.
--   Where both are the same the readings agree.
-- param question = phase: signal, phase, theme (where both say signal) or ask (the second question)

with chosen as (
  select case when :question in ('signal', 'theme', 'ask') then :question else 'phase' end as question
), read as (
  select a.*, c.question,
    case c.question
      when 'signal' then case a.pain when 1 then 'signal' when 0 then 'no signal' else 'cannot tell' end
      when 'phase' then coalesce(a.phase, 'none')
      when 'theme' then coalesce(a.theme, 'none')
      else a.ask end as answer
  from codings a, chosen c
  where a.reader <> 'visitor'
)
select a.question, a.answer as first_reading, b.answer as second_reading, a.answer = b.answer as same, count(*) as n
from read a
join read b on b.post = a.post
where case a.question when 'ask' then a.reading = 4 and b.reading = 5 else a.reading = 1 and b.reading = 2 end
  and (a.question <> 'theme' or (a.pain = 1 and b.pain = 1))
  and a.answer is not null and b.answer is not null
group by first_reading, second_reading
order by same desc, n desc, first_reading, second_reading
