-- On one day an entry has one part, and each tag once. As in the view of daily entries, the bounds only tell Postgres
-- to expect few tags.
create or replace view staging.stg_toggl_track__hours_by_tag as
select
    d.day,
    d.week,
    d.month,
    d.workspace_id,
    d.workspace_name,
    d.user_id,
    d.user_name,
    tag.name                                                as tag_name,
    count(*)                                                as entry_count,
    sum(d.seconds)::bigint                                  as seconds,
    sum(d.hours)                                            as hours,
    sum(d.hours_so_far)                                     as hours_so_far
from staging.stg_toggl_track__daily_entries d
left join lateral (
    select distinct own.name
    from unnest(d.tags) with ordinality as own(name, place)
    where own.place between 1 and 2147483647
) tag on true
group by d.day, d.week, d.month, d.workspace_id, d.workspace_name, d.user_id, d.user_name, tag.name;

comment on view staging.stg_toggl_track__hours_by_tag is
    'Hours by local day, user and tag. An entry of two tags counts in both, so that the sum over all tags may be more than was tracked.';
comment on column staging.stg_toggl_track__hours_by_tag.day is
    'The local day, in the time zone of the view of daily entries.';
comment on column staging.stg_toggl_track__hours_by_tag.week is
    'The first day of the week of that day, as in the view of wide entries.';
comment on column staging.stg_toggl_track__hours_by_tag.month is 'The first day of the month of that day.';
comment on column staging.stg_toggl_track__hours_by_tag.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__hours_by_tag.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__hours_by_tag.user_id is 'Toggl''s id of the user whose time it is.';
comment on column staging.stg_toggl_track__hours_by_tag.user_name is
    'The user''s name as it is now; of somebody who is no user any more, as reports have it.';
comment on column staging.stg_toggl_track__hours_by_tag.tag_name is 'Name of the tag; null for what has none.';
comment on column staging.stg_toggl_track__hours_by_tag.entry_count is
    'How many entries, or parts of entries, it is made of.';
comment on column staging.stg_toggl_track__hours_by_tag.seconds is
    'Their time, in seconds, without entries that are running.';
comment on column staging.stg_toggl_track__hours_by_tag.hours is
    'The same in hours, not rounded: round what you show, not what you add up.';
comment on column staging.stg_toggl_track__hours_by_tag.hours_so_far is 'The same, with running entries up to now.';
