-- title: What a service could do, and how much stands behind it
-- description: One row a want: of 100 signals on a hosted service's forum (titles) and on Reddit, how many stand behind it, with
--   the interval for posts like these; and how many of the issues found on Tinker's own trackers. The forum lies in other
--   years than the trackers, and the trackers were searched by theme, so the last is a count. What a service offers today is
--   in none of these data.
-- fragment: g.mark=bar&g.x_column=want&g.x_type=nominal&g.y_column=forum_share&g.y_type=quantitative

with asked as (
  select w.slug, c.place, c.cluster, sum(c.number) as n, sum(c.weight) as d,
    sum(case when c.ask = w.ask or c.theme in (select value from json_each(w.themes)) then c.weight else 0 end) as y,
    sum(case when c.ask = w.ask or c.theme in (select value from json_each(w.themes)) then c.number else 0 end) as counted
  from wants w join cells c on c.place in ('openai-forum', 'reddit', 'tinker-trackers')
  group by 1, 2, 3
), totals as (
  select slug, place, sum(n) as n, sum(counted) as counted, sum(d) as d, count(*) as k, sum(y) / sum(d) as p
  from asked group by 1, 2
), spread as (
  -- Readers' switching: of a theme as it is published, of an ask from its share of the signals after a run.
  select t.*, sum(pow(a.y - t.p * a.d, 2) / nullif(1 - a.d / t.d, 0)) / (t.d * t.d)
    + coalesce((select part * case r.measure when 'ask' then r.denominator / t.d else 1 end / t.d
        from reader_parts r join wants w on w.slug = t.slug and r.subject in (w.ask, json_extract(w.themes, '$[0]'))
        where r.place = t.place and r.measure in ('ask', 'theme')), 0) as variance
  from totals t join asked a using (slug, place) group by t.slug, t.place
), halved as (
  select s.*, t * sqrt(variance) / nullif(p * (1 - p), 0) as half, ln(p / nullif(1 - p, 0)) as logit
  from spread s left join student_t on student_t.df = (select max(df) from student_t where df <= s.k - 1)
), sized as (
  select slug, place, n, counted,
    case when n >= 30 and k >= 3 then round(p, 6) end as share,
    case when n < 30 or k < 3 then null when p > 0 and p < 1 then round(1 / (1 + exp(half - logit)), 6)
      when p = 0 then 0.0 else round(pow(0.025, 1.0 / k), 6) end as low,
    case when n < 30 or k < 3 then null when p > 0 and p < 1 then round(1 / (1 + exp(-half - logit)), 6)
      when p = 1 then 1.0 else round(1 - pow(0.025, 1.0 / k), 6) end as high
  from halved
)
select
  w.title as want,
  w.slug,
  w.could,
  case when w.ask is null then 'theme' else 'ask' end as rests_on,
  coalesce(w.ask, json_extract(w.themes, '$[0]')) as behind,
  case when t.phase in ('train', 'evaluate', 'iterate') then t.phase else 'plain' end as phase_drawn,
  forum.share as forum_share,
  forum.low as forum_low,
  forum.high as forum_high,
  forum.counted as forum_counted,
  forum.n as forum_n,
  reddit.share as reddit_share,
  reddit.low as reddit_low,
  reddit.high as reddit_high,
  reddit.n as reddit_n,
  tinker.counted as tinker_found,
  tinker.n as tinker_n
from wants w
left join themes t on t.slug = json_extract(w.themes, '$[0]')
left join sized forum on forum.slug = w.slug and forum.place = 'openai-forum'
left join sized reddit on reddit.slug = w.slug and reddit.place = 'reddit'
left join sized tinker on tinker.slug = w.slug and tinker.place = 'tinker-trackers'
order by w.position
