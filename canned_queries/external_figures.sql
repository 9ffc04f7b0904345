-- title: Figures of others
-- description: Figures that the pages quote, with who said them and how they were come by. None can be recomputed here.

select slug, figure, unit, says, how, who, url from external order by position
