-- title: Posts on which two blind readings differ
-- description: Each post that got two different answers, both answers, what stands now, and our words for the post. The words
--   of the post itself are not here, only the link.
-- param question = theme, phase and signal: signal, phase, theme or ask (the second question)

with chosen as (
  select case when :question in ('signal', 'phase', 'ask') then :question else 'theme' end as question
), read as (
  select a.*,
    case a.pain when 1 then 'signal' when 0 then 'no signal' else 'cannot tell' end as signal
  from codings a
  where a.reader <> 'visitor'
)
select
  a.post,
  '/signals/' || case when s.id is not null then 'signals/' when n.id is not null then 'screened/' end
    || replace(a.post, '.', '~2E') as row,
  case c.question when 'ask' then a.ask when 'signal' then a.signal when 'phase' then coalesce(a.phase, 'none')
    else coalesce(a.theme, a.signal) end as first_reading,
  case c.question when 'ask' then b.ask when 'signal' then b.signal when 'phase' then coalesce(b.phase, 'none')
    else coalesce(b.theme, b.signal) end as second_reading,
  case c.question when 'ask' then s.ask when 'signal' then coalesce(replace(n.verdict, '_', ' '), 'signal')
    when 'phase' then coalesce(s.phase, 'none')
    else coalesce(s.theme, replace(n.verdict, '_', ' '), 'signal') end as stands,
  coalesce(z.reason, '') as reason,
  coalesce(s.gist, n.note, 'Left out: ' || lower(w.title) || '.', '') as post_in_our_words,
  coalesce(s.seen, n.seen) as seen,
  coalesce(p.short, '') as place,
  a.url
from chosen c
join read a on a.reading = case c.question when 'ask' then 4 else 1 end
join read b on b.post = a.post and b.reading = case c.question when 'ask' then 5 else 2 end
left join read z on z.post = a.post and z.reading = 3
left join signals s on s.id = a.post
left join screened n on n.id = a.post
left join whys w on w.slug = n.why
left join places p on p.slug = coalesce(s.place, n.place)
where case c.question
  when 'ask' then a.ask <> b.ask
  when 'signal' then a.pain is not b.pain
  when 'phase' then a.phase is not b.phase
  else a.pain is not b.pain or a.theme is not b.theme end
order by p.position, stands, a.post
