-- Not every pair, of which a day may have very many: for each entry what of it those cover that began before it.
create or replace view staging.stg_toggl_track__overlaps as
select
    user_id,
    user_name,
    day,
    time_entry_id,
    covered_by_id                                           as earlier_time_entry_id,
    started_at                                              as overlap_started_at,
    least(stopped_at, covered_until)                        as overlap_stopped_at,
    round(extract(epoch from least(stopped_at, covered_until) - started_at))::bigint as overlap_seconds,
    extract(epoch from least(stopped_at, covered_until) - started_at) / 3600 as overlap_hours
from raw.toggl_track__covered_parts
where covered_until > started_at;

comment on view staging.stg_toggl_track__overlaps is
    'Times that a person tracked more than once, in any workspaces: one row for each entry that begins before what began earlier has ended. What was tracked, less all overlaps, is the time in which anything was tracked at all.';
comment on column staging.stg_toggl_track__overlaps.user_id is 'Toggl''s id of the person.';
comment on column staging.stg_toggl_track__overlaps.user_name is 'Name of the person.';
comment on column staging.stg_toggl_track__overlaps.day is 'The local day.';
comment on column staging.stg_toggl_track__overlaps.time_entry_id is 'The entry that begins too early.';
comment on column staging.stg_toggl_track__overlaps.earlier_time_entry_id is
    'Of those that began before it, the one that ends last.';
comment on column staging.stg_toggl_track__overlaps.overlap_started_at is
    'When the overlap begins: the start of the entry.';
comment on column staging.stg_toggl_track__overlaps.overlap_stopped_at is 'When it ends: the end of either.';
comment on column staging.stg_toggl_track__overlaps.overlap_seconds is 'How long it is, in seconds.';
comment on column staging.stg_toggl_track__overlaps.overlap_hours is 'The same in hours, not rounded.';
