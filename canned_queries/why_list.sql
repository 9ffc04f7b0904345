-- title: Reasons why a post is no signal
-- description: The reasons of the codebook, with the number of posts that were left out for each.

select w.slug, w.title, w.description, count(s.id) as posts
from whys w
left join screened s on s.why = w.slug
group by w.slug
order by w.position
