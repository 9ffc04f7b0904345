-- title: The codebook's themes
-- description: Each theme with its phase, the writer's question, what belongs to it and what does not.

select t.slug as theme, t.phase, h.title as phase_title, t.title, t.question, t.includes, t.excludes
from themes t
join phases h on h.slug = t.phase
order by t.position
