-- title: What stands at the foot of every page
-- description: Version of the data, latest month, how many posts were read and how many tell a difficulty.

select
  (select value from build_info where key = 'data_version') as data_version,
  (select value from build_info where key = 'content_hash') as content_hash,
  (select value from build_info where key = 'latest_month') as latest_month,
  (select value from build_info where key = 'site_title') as title,
  (select value from build_info where key = 'site_subtitle') as subtitle,
  (select value from build_info where key = 'site_url') as url,
  (select value from build_info where key = 'site_repository') as repository,
  (select value from build_info where key = 'site_contact') as contact,
  (select value from build_info where key = 'site_licence_data') as licence_data,
  (select value from build_info where key = 'site_licence_data_url') as licence_data_url,
  (select value from build_info where key = 'site_licence_code') as licence_code,
  (select value from build_info where key = 'site_takedown_within') as takedown_within,
  (select coalesce(sum(n), 0) from signal_counts where labelled_by <> 'machine') as n_signals,
  (select coalesce(sum(n), 0) from signal_counts where labelled_by = 'machine') as n_machine,
  (select coalesce(sum(n), 0) from signal_counts where theme is null and labelled_by <> 'machine') as n_themeless,
  (select coalesce(sum(posts), 0) from flow where stage = 'read') as n_posts_read,
  (select count(*) from duplicates) as n_copies,
  (select coalesce(sum(number), 0) from cells where corpus = 'public') as n_counted,
  (select count(*) from places where frame = 'population') as n_places,
  (select count(*) from themes) as n_themes
