-- title: Themes that appear together
-- description: Which other themes stand beside one theme in the same signal, and how often.
-- param theme = did it get better: slug of a theme

select o.theme, t.title, t.phase, count(*) as signals
from signal_themes s
join signal_themes o on o.signal = s.signal and o.theme <> s.theme
join themes t on t.slug = o.theme
where s.theme = case :theme when '' then 'did-it-get-better' else :theme end
group by o.theme
order by signals desc, t.position
