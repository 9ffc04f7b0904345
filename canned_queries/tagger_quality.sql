-- title: How good the machine reader is
-- description: Figures of the tagger on posts that it did not see, with 95 % intervals, by task and by class. No share on this
--   site rests on machine-read posts.
-- param task = every task: relevance, theme, phase or ask
-- param subject = every class: slug of a theme, a phase, an ask, or signal
-- param how = five folds: five folds, a place never seen, five folds, community not told, or five folds, fewer posts
-- fragment: g.mark=bar&g.x_column=subject&g.x_type=nominal&g.y_column=figure&g.y_type=quantitative

select task, subject, measure, seen, how, figure, low, high, support as n, learned_from
from tagger_report
where measure <> 'confusion'
  and (:task = '' or task = :task)
  and (:subject = '' or subject = :subject)
  and how = case :how when '' then 'five folds' else :how end
order by task, subject, measure, seen, learned_from
