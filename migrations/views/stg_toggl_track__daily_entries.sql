-- Where the copy knows on which days an entry lies, a condition on the day is one on its indexes: for entries of one
-- day, as nearly all are, for the first day of others, for their last, and for those between. Of what it does not
-- know each is divided first.
-- The names are those of the view of wide entries, written again: one view for both takes Postgres three times as long to
-- plan, which is most of what a month costs.
-- The parts follow the clock: each ends where the next begins, the last where the entry does. Of seconds and
-- amount a part gets what has accrued by its end, rounded, less what had accrued by its beginning: so the parts
-- add up to the whole, to the second and to the cent, whatever the clock says.
-- Each offset 0 has Postgres reckon once what it would otherwise write out again wherever it is named, a hundred
-- times in all. And it takes generate_series for a thousand rows, an array for ten: by either it would compile the
-- statement, which takes longer than running it. That a place lies between bounds always holds, but tells it that
-- few do, so that it expects one row an entry.
create or replace view staging.stg_toggl_track__daily_entries as
select
    e.time_entry_id,
    e.workspace_id,
    workspace.workspace_name,
    e.user_id,
    coalesce(
        nullif(person.user_name, ''), nullif(member.user_name, ''), nullif(me.user_name, ''), e.user_name
    )                                                       as user_name,
    project.client_id,
    client.client_name,
    e.project_id,
    project.project_name,
    project.color                                           as project_color,
    e.task_id,
    task.task_name,
    e.description,
    e.tags,
    nullif(array_to_string(e.tags, ', '), '')               as tag_names,
    e.is_billable,
    e.started_at,
    e.stopped_at,
    e.is_running,
    e.seconds,
    e.seconds / 3600.0                                      as hours,
    case
        when not e.is_running then e.seconds / 3600.0
        else coalesce(extract(epoch from e.ended_at - e.part_started_at), 0) / 3600
    end                                                     as hours_so_far,
    zone.name                                               as time_zone,
    e.started_at at time zone zone.name                     as started_local,
    e.day,
    e.day - (e.day - staging.toggl_week(e.first_day, coalesce(
        me.beginning_of_week,
        (
            select owner.beginning_of_week from staging.stg_toggl_track__me owner
            where owner.beginning_of_week between 0 and 6 order by owner.user_id limit 1
        ),
        1
    ))) % 7                                                 as week,
    date_trunc('month', e.day::timestamp)::date             as month,
    e.amount                                                as billable_amount,
    e.currency,
    e.part_started_at,
    case when not (e.is_running and e.is_last) then e.ended_at end as part_stopped_at
from (
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, tags, is_billable,
        started_at, stopped_at, is_running, currency,
        local_day                                           as first_day,
        local_day                                           as day,
        true                                                as is_last,
        duration_seconds                                    as seconds,
        billable_amount                                     as amount,
        started_at                                          as part_started_at,
        staging.toggl_ended_at(started_at, stopped_at, duration_seconds, is_running) as ended_at
    from raw.toggl_track__reckoned_entries
    where more_days = 0
    union all
    select
        d.time_entry_id, d.workspace_id, d.user_id, d.user_name, d.project_id, d.task_id, d.description, d.tags,
        d.is_billable, d.started_at, d.stopped_at, d.is_running, d.currency,
        d.local_day,
        d.day,
        part.is_last,
        share.seconds,
        case
            when part.is_only or d.billable_amount is null then d.billable_amount
            else
                case when part.is_last then d.billable_amount else round(d.billable_amount * share.until, 6) end
                - round(d.billable_amount * share.before, 6)
        end,
        part.started_at,
        part.ended_at
    from (
        -- Each has a zone. Should the row be lost, no part may be.
        select entry.*, coalesce(zone.time_zone, 'UTC') as time_zone
        from (
            select entry.*, 0 as place, local_day as day
            from raw.toggl_track__reckoned_entries entry
            where more_days > 0
            union all
            select entry.*, more_days, local_day + more_days
            from raw.toggl_track__reckoned_entries entry
            where more_days > 0
            union all
            select entry.*, between_them.place, local_day + between_them.place
            from raw.toggl_track__reckoned_entries entry
            join lateral unnest((staging.toggl_places())[2:more_days]) as between_them(place)
                on between_them.place between 1 and 398
            where more_days > 1
        ) entry
        left join raw.toggl_track__day_zones zone
            on zone.workspace_id = entry.workspace_id and zone.user_id = entry.user_id
        union all
        select
            time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, tags, is_billable,
            started_at, stopped_at, duration_seconds, is_running, billable_amount, currency,
            local_day, more_days, places.place, local_day + places.place, time_zone
        from raw.toggl_track__unreckoned_entries
        join lateral unnest((staging.toggl_places())[1:more_days + 1]) as places(place)
            on places.place between 0 and 399
    ) d
    cross join lateral (
        select staging.toggl_ended_at(d.started_at, d.stopped_at, d.duration_seconds, d.is_running) as ended_at
        offset 0
    ) clock
    cross join lateral (
        select
            d.more_days = 0 as is_only,
            d.place = d.more_days as is_last,
            case
                when d.place = 0 then d.started_at
                else greatest(d.started_at, staging.toggl_day_start(d.day, d.time_zone))
            end as started_at,
            case
                when d.place = d.more_days then clock.ended_at
                else greatest(d.started_at, staging.toggl_day_start(d.day + 1, d.time_zone))
            end as ended_at
        offset 0
    ) part
    cross join lateral (
        select
            case when part.is_only then d.duration_seconds
                 else round(d.duration_seconds * clocked.until)::bigint
                      - round(d.duration_seconds * clocked.before)::bigint
            end as seconds,
            case when d.duration_seconds > 0 then round(d.duration_seconds * clocked.until) / d.duration_seconds
                 else clocked.until end as until,
            case when d.duration_seconds > 0 then round(d.duration_seconds * clocked.before) / d.duration_seconds
                 else clocked.before end as before
        from (
            select
                case when not part.is_only then
                    extract(epoch from part.ended_at - d.started_at)
                    / extract(epoch from clock.ended_at - d.started_at)
                end as until,
                case when not part.is_only then
                    extract(epoch from part.started_at - d.started_at)
                    / extract(epoch from clock.ended_at - d.started_at)
                end as before
            offset 0
        ) clocked
        offset 0
    ) share
    -- A day that a zone left out, as at the date line, has no part.
    where part.is_only or part.started_at < part.ended_at
) e
left join staging.stg_toggl_track__workspaces workspace on workspace.workspace_id = e.workspace_id
left join staging.stg_toggl_track__users person
    on person.workspace_id = e.workspace_id and person.user_id = e.user_id
left join raw.toggl_track__members member
    on member.workspace_id = e.workspace_id and member.user_id = e.user_id
left join raw.toggl_track__profiles me on me.user_id = e.user_id
left join staging.stg_toggl_track__projects project on project.project_id = e.project_id
left join staging.stg_toggl_track__clients client on client.client_id = project.client_id
left join staging.stg_toggl_track__tasks task on task.task_id = e.task_id
cross join lateral (
    select coalesce(
        (select staging.toggl_chosen_time_zone()), member.time_zone, me.time_zone, 'UTC'
    ) as name
) zone;

comment on view staging.stg_toggl_track__daily_entries is
    'All time entries, divided at local midnight: one row for each entry and each local day on which it was tracked. The time zone is that of the view of wide entries. An entry of more than 400 days has 400 rows, of which the last holds the rest. Day and month have indexes, except in a time zone that only a session or a role has set: there a condition on started_at is faster.';
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
