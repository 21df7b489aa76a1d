create or replace view staging.stg_toggl_track__gaps as
select
    user_id,
    user_name,
    day,
    covered_until                                           as gap_started_at,
    started_at                                              as gap_stopped_at,
    round(extract(epoch from started_at - covered_until))::bigint as gap_seconds,
    extract(epoch from started_at - covered_until) / 3600   as gap_hours,
    covered_by_id                                           as previous_time_entry_id,
    time_entry_id                                           as next_time_entry_id
from raw.toggl_track__covered_parts
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
