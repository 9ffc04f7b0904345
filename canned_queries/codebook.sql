-- title: The codebook's themes
-- description: Each theme with its phase, the writer's question, what belongs to it and what does not.

select slug as theme, phase, title, question, includes, excludes from themes order by position
