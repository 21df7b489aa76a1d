create or replace view raw.toggl_track__moved_people as
select
    day_zone.workspace_id,
    day_zone.user_id,
    zone.name as time_zone
from raw.toggl_track__day_zones day_zone
left join raw.toggl_track__members member
    on member.workspace_id = day_zone.workspace_id and member.user_id = day_zone.user_id
left join raw.toggl_track__profiles profile on profile.user_id = day_zone.user_id
cross join lateral (
    select coalesce(
        (select staging.toggl_told_time_zone()), member.time_zone, profile.time_zone, 'UTC'
    ) as name
) zone
where zone.name <> day_zone.time_zone;

comment on view raw.toggl_track__moved_people is
    'Those whose local days are to be reckoned in another time zone than the copy of their entries has.';
comment on column raw.toggl_track__moved_people.time_zone is
    'Their zone now: that of the setting toggl_track.time_zone, ? where the server does not know that; else their own, else UTC.';
