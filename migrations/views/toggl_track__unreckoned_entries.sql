-- The copy is joined to those who have moved, so that it is not read where nobody has. Neither (select …) nor offset
-- stands here, so that several workers of Postgres may read. A zone that the server does not know is an error
-- where the zone is asked for.
create or replace view raw.toggl_track__unreckoned_entries as
select
    entry.time_entry_id,
    entry.workspace_id,
    entry.user_id,
    entry.user_name,
    entry.project_id,
    entry.task_id,
    entry.description,
    entry.tags,
    entry.is_billable,
    entry.started_at,
    entry.stopped_at,
    entry.duration_seconds,
    entry.is_running,
    entry.billable_amount,
    entry.currency,
    zone.name                                               as time_zone,
    (entry.started_at at time zone zone.name)::date         as local_day,
    staging.toggl_more_days(
        entry.started_at,
        staging.toggl_ended_at(
            entry.started_at, entry.stopped_at, entry.duration_seconds, entry.is_running
        ),
        zone.name,
        (entry.started_at at time zone zone.name)::date
    )                                                       as more_days
from (
    select * from raw.toggl_track__entries where local_day is null
    union all
    select entry.*
    from raw.toggl_track__entries entry
    join unnest(raw.toggl_track__moved_users()) as moved(user_id) on moved.user_id = entry.user_id
    where entry.local_day is not null
) entry
left join raw.toggl_track__members member
    on member.workspace_id = entry.workspace_id and member.user_id = entry.user_id
left join raw.toggl_track__profiles profile on profile.user_id = entry.user_id
cross join staging.toggl_told_time_zone() as told(time_zone)
cross join lateral (
    select coalesce(
        case told.time_zone when '?' then staging.toggl_chosen_time_zone() else told.time_zone end,
        member.time_zone,
        profile.time_zone,
        'UTC'
    ) as name
) zone;

comment on view raw.toggl_track__unreckoned_entries is
    'Time entries whose local days are reckoned when they are asked for: those that have not been copied, that are running, or whose person has moved to another time zone since.';
comment on column raw.toggl_track__unreckoned_entries.time_zone is 'The zone in which they are reckoned.';
comment on column raw.toggl_track__unreckoned_entries.local_day is 'The local day of its start, now.';
comment on column raw.toggl_track__unreckoned_entries.more_days is 'On how many local days after that it goes on.';
