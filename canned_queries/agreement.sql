-- title: Two blind readings of the same posts
-- description: Of all posts that were read twice, blind, how many got the same answer, and how much more than chance would
--   give (alpha, kappa and AC1; 1 = always the same), with 95 % intervals over clusters. The readers are language models
--   under one codebook, so this measures how clear the codebook is, not truth.
-- param by = all posts together: seen (opening, title or comment) or place

select
  a.question,
  case a."by" when 'place' then coalesce(p.short, a.value) when 'seen' then a.value || 's' else 'all posts' end as posts,
  max(a.figure) filter (where a.coefficient = 'share') as share,
  max(a.low) filter (where a.coefficient = 'share') as low,
  max(a.high) filter (where a.coefficient = 'share') as high,
  a.same,
  a.n,
  max(a.figure) filter (where a.coefficient = 'alpha') as alpha,
  max(a.low) filter (where a.coefficient = 'alpha') as alpha_low,
  max(a.high) filter (where a.coefficient = 'alpha') as alpha_high,
  max(a.figure) filter (where a.coefficient = 'kappa') as kappa,
  max(a.low) filter (where a.coefficient = 'kappa') as kappa_low,
  max(a.high) filter (where a.coefficient = 'kappa') as kappa_high,
  max(a.figure) filter (where a.coefficient = 'ac1') as ac1,
  max(a.low) filter (where a.coefficient = 'ac1') as ac1_low,
  max(a.high) filter (where a.coefficient = 'ac1') as ac1_high,
  a.clusters,
  a.enough
from reader_agreement a
left join places p on a."by" = 'place' and p.slug = a.value
where a."by" = :by and (a.n > 0 or a."by" = '' and a.question not like 'a person%')
group by a.question, a."by", a.value
order by
  case a.question when 'signal or not' then 1 when 'phase, none included' then 2
    when 'theme, where both say signal' then 3 when 'phase, where either says after the run' then 4
    when 'the second question' then 5 when 'whether a run is finished' then 6 else 7 end,
  a.question,
  p.position,
  case a.value when 'opening' then 1 when 'title' then 2 else 3 end
