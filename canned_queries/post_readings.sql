-- title: Every reading of one post
-- description: What each reader said of one post, in the order of the readings. The first two are blind; the reader of a
--   correction is called “reader”. Only posts that were read more than once have rows.
-- param id = a post that was read most often: id of a post

select c.reading, c.reader, c.coder, c.pain, c.theme, t.title as theme_title, t.phase, c.also, w.title as why, a.title as ask, c.run,
  c.sure, c.reason
from codings c
left join themes t on t.slug = c.theme
left join whys w on w.slug = c.why
left join asks a on a.slug = c.ask
where c.post = case :id when '' then (select post from codings order by reading desc, post limit 1) else :id end
order by c.reading
