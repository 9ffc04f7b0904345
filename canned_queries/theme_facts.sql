-- title: One theme in words and counts
-- description: What belongs to a theme, what does not, and how many signals name it first or among others.
-- param theme = did it get better: slug of a theme

select
  t.slug,
  t.title,
  t.phase,
  h.title as phase_title,
  t.question,
  t.includes,
  t.excludes,
  (select coalesce(sum(n), 0) from signal_counts s where s.theme = t.slug and s.labelled_by <> 'machine') as n_primary,
  (select coalesce(sum(n), 0) from signal_counts s where s.theme = t.slug and s.labelled_by = 'machine') as n_machine,
  (select count(*) from signal_themes s where s.theme = t.slug and s.role = 'secondary') as n_secondary,
  (select count(distinct s.community) from signals s where s.theme = t.slug and s.labelled_by in ('coded', 'corrected')) as n_communities,
  (select min(s.month) from signals s where s.theme = t.slug and s.labelled_by in ('coded', 'corrected')) as first_month,
  (select max(s.month) from signals s where s.theme = t.slug and s.labelled_by in ('coded', 'corrected')) as last_month
from themes t
join phases h on h.slug = t.phase
where t.slug = case :theme when '' then 'did-it-get-better' else :theme end
