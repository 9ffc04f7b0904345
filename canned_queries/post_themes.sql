-- title: The themes of one post
-- description: The main theme of a signal, then the others that its text clearly bears, with the machine's probability where a
--   machine read it.
-- param id = the first signal: id of a signal

select s.theme, t.title, t.phase, t.question, t.includes, s.role, s.probability
from signal_themes s
join themes t on t.slug = s.theme
where s.signal = case :id when '' then (select min(id) from signals) else :id end
order by s.role, s.probability desc, t.position
