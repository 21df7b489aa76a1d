-- The parts follow the clock: each ends where the next begins, the last where the entry does. Of seconds and
-- amount a part gets what has accrued by its end, rounded, less what had accrued by its beginning: so the parts
-- add up to the whole, to the second and to the cent, whatever the clock says.
-- Each offset 0 has Postgres reckon once what it would otherwise write out again wherever it is named, a hundred
-- times in all. And it takes generate_series for a thousand rows, an array for ten: by either it would compile the
-- statement, which takes longer than running it. That a place lies between bounds always holds, but tells it that
-- few do, so that it expects one row an entry.
create or replace view staging.stg_toggl_track__daily_entries as
select
    w.time_entry_id,
    w.workspace_id,
    w.workspace_name,
    w.user_id,
    w.user_name,
    w.client_id,
    w.client_name,
    w.project_id,
    w.project_name,
    w.project_color,
    w.task_id,
    w.task_name,
    w.description,
    w.tags,
    w.tag_names,
    w.is_billable,
    w.started_at,
    w.stopped_at,
    w.is_running,
    share.seconds,
    share.seconds / 3600.0                                  as hours,
    case
        when w.is_running
            then coalesce(extract(epoch from part.ended_at - part.part_started_at) / 3600, w.hours_so_far)
        else share.seconds / 3600.0
    end                                                     as hours_so_far,
    clock.time_zone,
    w.started_local,
    part.day,
    case when part.place = 0 then clock.week else part.day - (part.day - clock.week) % 7 end as week,
    date_trunc('month', part.day::timestamp)::date          as month,
    case
        when part.is_only or w.billable_amount is null then w.billable_amount
        else
            case when part.is_last then w.billable_amount else round(w.billable_amount * share.until, 6) end
            - round(w.billable_amount * share.before, 6)
    end                                                     as billable_amount,
    w.currency,
    part.part_started_at,
    case when not (w.is_running and part.is_last) then part.ended_at end as part_stopped_at
from staging.stg_toggl_track__wide_entries w
cross join lateral (
    select
        w.time_zone,
        w.day,
        w.week,
        case
            when w.is_running then greatest(now(), w.started_at)
            when w.stopped_at >= w.started_at then w.stopped_at
            when w.seconds is not null
                then w.started_at + least(w.seconds, 3155760000) * interval '1 second'
        end as ended_at
    offset 0
) clock
cross join lateral (
    select case when clock.ended_at > w.started_at then greatest(least(
        ((clock.ended_at - interval '1 microsecond') at time zone clock.time_zone)::date - clock.day, 399
    ), 0) else 0 end as last_place
    offset 0
) days
join lateral unnest((array(select generate_series(0, 399)))[1:days.last_place + 1]) as places(place)
    on places.place between 0 and 399
cross join lateral (
    select
        places.place,
        days.last_place = 0 as is_only,
        places.place = days.last_place as is_last,
        clock.day + places.place as day,
        case
            when places.place = 0 then w.started_at
            else greatest(w.started_at, staging.toggl_day_start(clock.day + places.place, clock.time_zone))
        end as part_started_at,
        case
            when places.place = days.last_place then clock.ended_at
            else greatest(w.started_at, staging.toggl_day_start(clock.day + places.place + 1, clock.time_zone))
        end as ended_at
    offset 0
) part
cross join lateral (
    select
        case when part.is_only then w.seconds
             else round(w.seconds * clocked.until)::bigint - round(w.seconds * clocked.before)::bigint
        end as seconds,
        case when w.seconds > 0 then round(w.seconds * clocked.until) / w.seconds else clocked.until end as until,
        case when w.seconds > 0 then round(w.seconds * clocked.before) / w.seconds else clocked.before end as before
    from (
        select
            case when not part.is_only then
                extract(epoch from part.ended_at - w.started_at)
                / extract(epoch from clock.ended_at - w.started_at)
            end as until,
            case when not part.is_only then
                extract(epoch from part.part_started_at - w.started_at)
                / extract(epoch from clock.ended_at - w.started_at)
            end as before
        offset 0
    ) clocked
    offset 0
) share
-- A day that a zone left out, as at the date line, has no part.
where part.is_only or part.part_started_at < part.ended_at;

comment on view staging.stg_toggl_track__daily_entries is
    'All time entries, divided at local midnight: one row for each entry and each local day on which it was tracked. The time zone is that of the view of wide entries. An entry of more than 400 days has 400 rows, of which the last holds the rest. To read one month quickly, say both day >= … and started_at >= … with a day or more to spare: the start has an index.';
comment on column staging.stg_toggl_track__daily_entries.time_entry_id is
    'Toggl''s id of the entry, the same in all its interfaces; an entry over midnight has several rows.';
comment on column staging.stg_toggl_track__daily_entries.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__daily_entries.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__daily_entries.user_id is 'Toggl''s id of the user whose entry it is.';
comment on column staging.stg_toggl_track__daily_entries.user_name is
    'The user''s name as it is now; of somebody who is no user any more, as reports have it.';
comment on column staging.stg_toggl_track__daily_entries.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__daily_entries.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__daily_entries.project_id is
    'Toggl''s id of the project; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__daily_entries.project_name is
    'Name of the project; null where it has none, or was deleted.';
comment on column staging.stg_toggl_track__daily_entries.project_color is 'The project''s colour, as #rrggbb.';
comment on column staging.stg_toggl_track__daily_entries.task_id is
    'Toggl''s id of the task; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__daily_entries.task_name is
    'Name of the task; null where it has none, or was deleted.';
comment on column staging.stg_toggl_track__daily_entries.description is 'What was worked on.';
comment on column staging.stg_toggl_track__daily_entries.tags is 'Names of the tags; empty where it has none.';
comment on column staging.stg_toggl_track__daily_entries.tag_names is
    'The same in one text, with commas between them; null where it has none.';
comment on column staging.stg_toggl_track__daily_entries.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__daily_entries.started_at is 'Start of the whole entry.';
comment on column staging.stg_toggl_track__daily_entries.stopped_at is
    'End of the whole entry; null while it runs.';
comment on column staging.stg_toggl_track__daily_entries.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__daily_entries.seconds is
    'This day''s part of the entry''s seconds; null while it runs. Where Toggl tells another duration than the time from start to stop, each day gets its part by the clock. The parts add up to the entry''s seconds, exactly.';
comment on column staging.stg_toggl_track__daily_entries.hours is 'The same in hours, not rounded.';
comment on column staging.stg_toggl_track__daily_entries.hours_so_far is
    'The same; of a running entry, this day''s part of the hours from its start to now.';
comment on column staging.stg_toggl_track__daily_entries.time_zone is
    'The time zone in which days are reckoned: that of the setting toggl_track.time_zone, else the person''s own, else UTC.';
comment on column staging.stg_toggl_track__daily_entries.started_local is
    'Start of the whole entry by the clock of that zone.';
comment on column staging.stg_toggl_track__daily_entries.day is
    'The local day of this part; null where the entry''s start cannot be read.';
comment on column staging.stg_toggl_track__daily_entries.week is
    'The first day of the week of that day, as in the view of wide entries.';
comment on column staging.stg_toggl_track__daily_entries.month is 'The first day of the month of that day.';
comment on column staging.stg_toggl_track__daily_entries.billable_amount is
    'This day''s part of the entry''s price, by its seconds, in units of the currency (not in cents). The parts add up to the entry''s amount, exactly.';
comment on column staging.stg_toggl_track__daily_entries.currency is 'Currency of the amount.';
comment on column staging.stg_toggl_track__daily_entries.part_started_at is
    'When this part begins: the entry''s start, or midnight.';
comment on column staging.stg_toggl_track__daily_entries.part_stopped_at is
    'When this part ends: midnight, or the entry''s end, reckoned from start and duration where it has none that can be read; null of the last part of a running entry.';
