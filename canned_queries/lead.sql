-- title: The numbers of the lead sentence
-- description: One row: the mean over places of each phase, of 100 signals; the lowest and the highest place for
--   evaluate; and the same for the share of evaluate after a run. Where fewer than three places are thick enough the
--   means are empty and only the places speak.
-- param window = all: all, recent (the last 18 months), or a window of the table windows by name

with asked as (
  select * from shares where case :window when '' then 'all' else :window end in (role, window)
), place_evaluate as (
  select place, share from asked
  where measure = 'of_100' and subject = 'evaluate' and "by" = 'place' and method = 'process'
    and enters = 'the mean' and enough = 'enough'
), place_headline as (
  select place, share from asked
  where measure = 'headline' and "by" = 'place' and method = 'process' and enters = 'the mean' and enough = 'enough'
), mean as (
  select * from asked where "by" = '' and method = 'process'
)
select
  (select share from mean where measure = 'of_100' and subject = 'train') as train,
  (select share from mean where measure = 'of_100' and subject = 'evaluate') as evaluate,
  (select share from mean where measure = 'of_100' and subject = 'iterate') as iterate,
  (select n_places from mean where measure = 'of_100' and subject = 'train') as n_places,
  (select n from mean where measure = 'of_100' and subject = 'train') as n,
  (select share from place_evaluate order by share limit 1) as evaluate_lowest,
  (select place from place_evaluate order by share limit 1) as evaluate_lowest_place,
  (select share from place_evaluate order by share desc limit 1) as evaluate_highest,
  (select place from place_evaluate order by share desc limit 1) as evaluate_highest_place,
  (select share from mean where measure = 'headline') as headline,
  (select low from mean where measure = 'headline') as headline_low,
  (select high from mean where measure = 'headline') as headline_high,
  (select n from mean where measure = 'headline') as headline_n,
  (select n_places from mean where measure = 'headline') as headline_places,
  (select share from place_headline order by share limit 1) as headline_lowest,
  (select place from place_headline order by share limit 1) as headline_lowest_place,
  (select share from place_headline order by share desc limit 1) as headline_highest,
  (select place from place_headline order by share desc limit 1) as headline_highest_place,
  (select count(*) from place_headline) as headline_thick_places,
  (select low from asked where measure = 'headline' and method = 'places') as like_these_low,
  (select high from asked where measure = 'headline' and method = 'places') as like_these_high,
  (select min(first_month) from asked where measure = 'of_100' and enters = 'the mean') as first_month,
  (select max(last_month) from asked where measure = 'of_100' and enters = 'the mean') as last_month,
  (select window from windows where case :window when '' then 'all' else :window end in (role, window)) as window,
  (select title from windows where case :window when '' then 'all' else :window end in (role, window)) as window_title,
  (select first_month from windows where case :window when '' then 'all' else :window end in (role, window)) as window_first,
  (select last_month from windows where case :window when '' then 'all' else :window end in (role, window)) as window_last
