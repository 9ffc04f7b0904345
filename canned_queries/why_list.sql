-- title: Reasons why a post is no signal
-- description: The reasons of the codebook for which a post that was read tells no difficulty with fine-tuning.

select slug, title, description from whys order by position
