-- title: Figures of others
-- description: Figures that the pages quote, with who said them and how they were come by. None can be recomputed here.
-- param about = every figure: beginning of the figure's name, for example outside or first-telling

select slug, figure, unit, says, how, who, url from external
where slug like :about || '%'
order by position
