-- title: The numbers of the lead sentence
-- description: One row: the mean over places of each phase, of 100 signals; the lowest and the highest place for
--   evaluate; and the same for the share of evaluate after a run. Where fewer than three places are thick enough the
--   means are empty and only the places speak.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name

with e as (
  select estimates.*, places.short, places.title
  from estimates
  join windows w on w.window = estimates.window
  left join places on places.slug = estimates.value
  where variant = '' and (w.role = case :window when '' then 'all' else :window end or w.window = :window)
), place_evaluate as (
  select short, share from e
  where measure = 'of_100' and subject = 'evaluate' and "by" = 'place' and method = 'process'
    and frame = 'population' and enough = 'enough'
), place_headline as (
  select short, share from e
  where measure = 'headline' and "by" = 'place' and method = 'process' and frame = 'population' and enough = 'enough'
), mean as (
  select * from e where "by" = '' and method = 'process'
)
select
  (select share from mean where measure = 'of_100' and subject = 'train') as train,
  (select share from mean where measure = 'of_100' and subject = 'evaluate') as evaluate,
  (select share from mean where measure = 'of_100' and subject = 'iterate') as iterate,
  (select n_places from mean where measure = 'of_100' and subject = 'train') as n_places,
  (select n from mean where measure = 'of_100' and subject = 'train') as n,
  (select share from place_evaluate order by share limit 1) as evaluate_lowest,
  (select short from place_evaluate order by share limit 1) as evaluate_lowest_place,
  (select share from place_evaluate order by share desc limit 1) as evaluate_highest,
  (select short from place_evaluate order by share desc limit 1) as evaluate_highest_place,
  (select share from mean where measure = 'headline') as headline,
  (select low from mean where measure = 'headline') as headline_low,
  (select high from mean where measure = 'headline') as headline_high,
  (select n from mean where measure = 'headline') as headline_n,
  (select n_places from mean where measure = 'headline') as headline_places,
  (select share from place_headline order by share limit 1) as headline_lowest,
  (select short from place_headline order by share limit 1) as headline_lowest_place,
  (select share from place_headline order by share desc limit 1) as headline_highest,
  (select short from place_headline order by share desc limit 1) as headline_highest_place,
  (select count(*) from place_headline) as headline_thick_places,
  (select low from e where measure = 'headline' and method = 'places') as like_these_low,
  (select high from e where measure = 'headline' and method = 'places') as like_these_high,
  (select min(first_month) from e where measure = 'of_100' and "by" = 'place' and frame = 'population') as first_month,
  (select max(last_month) from e where measure = 'of_100' and "by" = 'place' and frame = 'population') as last_month,
  (select w.window from windows w where (w.role = case :window when '' then 'all' else :window end or w.window = :window)) as window,
  (select w.title from windows w where (w.role = case :window when '' then 'all' else :window end or w.window = :window)) as window_title,
  (select w.first_month from windows w where (w.role = case :window when '' then 'all' else :window end or w.window = :window)) as window_first,
  (select w.last_month from windows w where (w.role = case :window when '' then 'all' else :window end or w.window = :window)) as window_last
