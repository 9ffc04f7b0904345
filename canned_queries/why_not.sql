-- title: Why posts were left out
-- description: Reasons why posts that match tuning vocabulary are no signal, by place.
-- fragment: g.mark=bar&g.x_column=reason&g.x_type=nominal&g.y_column=posts&g.y_type=quantitative&g.color_column=place

select
  coalesce(w.title, case s.verdict when 'cannot_tell' then 'A title alone cannot tell' else 'No reason was noted' end) as reason,
  coalesce(p.short, 'no place') as place,
  count(*) as posts
from screened s
left join whys w on w.slug = s.why
left join places p on p.slug = s.place
group by 1, 2
order by sum(count(*)) over (partition by coalesce(w.title, s.verdict)) desc, reason, posts desc
