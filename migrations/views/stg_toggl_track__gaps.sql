-- What was covered before an entry is the furthest end of those that began before it.
create or replace view staging.stg_toggl_track__gaps as
with part as (
    select
        time_entry_id, workspace_id, user_id, user_name, day,
        part_started_at as started_at,
        case when is_running then coalesce(part_stopped_at, now()) else part_stopped_at end as stopped_at
    from staging.stg_toggl_track__daily_entries
    where user_id is not null
),
covered as (
    select
        part.*,
        max(stopped_at) over earlier as covered_until,
        max(array[(extract(epoch from stopped_at) * 1000000)::bigint, time_entry_id]) over earlier as reached
    from part
    where started_at < stopped_at
    window earlier as (
        partition by user_id, day order by started_at, time_entry_id
        rows between unbounded preceding and 1 preceding
    )
)
select
    user_id,
    user_name,
    day,
    covered_until                                           as gap_started_at,
    started_at                                              as gap_stopped_at,
    round(extract(epoch from started_at - covered_until))::bigint as gap_seconds,
    extract(epoch from started_at - covered_until) / 3600   as gap_hours,
    reached[2]                                              as previous_time_entry_id,
    time_entry_id                                           as next_time_entry_id
from covered
where covered_until < started_at;

comment on view staging.stg_toggl_track__gaps is
    'Times of a person''s day between two entries in which nothing was tracked, in any workspace. Before the first entry of a day and after the last one is no gap.';
comment on column staging.stg_toggl_track__gaps.user_id is 'Toggl''s id of the person.';
comment on column staging.stg_toggl_track__gaps.user_name is 'Name of the person.';
comment on column staging.stg_toggl_track__gaps.day is 'The local day.';
comment on column staging.stg_toggl_track__gaps.gap_started_at is
    'When the gap begins: the end of what was tracked before.';
comment on column staging.stg_toggl_track__gaps.gap_stopped_at is 'When it ends: the start of the next entry.';
comment on column staging.stg_toggl_track__gaps.gap_seconds is 'How long it is, in seconds.';
comment on column staging.stg_toggl_track__gaps.gap_hours is 'The same in hours, not rounded.';
comment on column staging.stg_toggl_track__gaps.previous_time_entry_id is 'The entry at whose end it begins.';
comment on column staging.stg_toggl_track__gaps.next_time_entry_id is 'The entry at whose start it ends.';
