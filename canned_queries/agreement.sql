-- title: Two blind readings of the same posts
-- description: Of all posts that were read twice, blind, how many got the same answer: whether it is a signal, its phase (no
--   signal counts as a phase of its own), and, where both say signal, its theme; and the same for the second question.
--   The readers are language models under one codebook, so this measures how clear the codebook is, not truth.

with twice as (
  select a.pain is b.pain as same_signal, a.phase is b.phase as same_phase, a.theme is b.theme as same_theme,
    a.pain = 1 and b.pain = 1 as both_signal
  from codings a join codings b on b.post = a.post and a.reading = 1 and b.reading = 2
), asked as (
  select a.ask is b.ask as same_ask, a.run is b.run as same_run
  from codings a join codings b on b.post = a.post and a.reading = 4 and b.reading = 5
  where a.ask is not null and b.ask is not null
)
select 'signal or not' as question, round(avg(same_signal), 4) as share, count(*) as n from twice
union all select 'phase, none included', round(avg(same_phase), 4), count(*) from twice
union all select 'theme, where both say signal', round(avg(same_theme), 4), count(*) from twice where both_signal
union all select 'the second question', round(avg(same_ask), 4), count(*) from asked
union all select 'whether a run is finished', round(avg(same_run), 4), count(*) from asked
