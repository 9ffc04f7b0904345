-- title: What the machine reader takes for what
-- description: How many read posts of each class got which class from the tagger when it had not seen them.
-- param task = theme: theme, phase or ask

select task, subject as read_as, predicted as tagged_as, cast(figure as integer) as n
from tagger_report
where measure = 'confusion'
  and task = case :task when '' then 'theme' else :task end
order by n desc, read_as, tagged_as
