-- Every join is to at most one row, and made only where one of its columns is asked for.
create or replace view staging.stg_toggl_track__wide_entries as
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
    e.duration_seconds                                      as seconds,
    e.duration_seconds / 3600.0                             as hours,
    case
        when e.is_running then greatest(extract(epoch from now() - e.started_at), 0) / 3600
        else e.duration_seconds / 3600.0
    end                                                     as hours_so_far,
    local.time_zone,
    local.started_local,
    e.day,
    staging.toggl_week(e.day, coalesce(
        me.beginning_of_week,
        (
            select owner.beginning_of_week from staging.stg_toggl_track__me owner
            where owner.beginning_of_week between 0 and 6 order by owner.user_id limit 1
        ),
        1
    ))                                                      as week,
    date_trunc('month', e.day::timestamp)::date             as month,
    e.billable_amount,
    e.currency
from (
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, tags, is_billable,
        started_at, stopped_at, duration_seconds, is_running, billable_amount, currency, local_day as day
    from raw.toggl_track__reckoned_entries
    union all
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, tags, is_billable,
        started_at, stopped_at, duration_seconds, is_running, billable_amount, currency, local_day
    from raw.toggl_track__unreckoned_entries
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
    select
        zone.name as time_zone,
        e.started_at at time zone zone.name as started_local
    from (
        select coalesce(
            (select staging.toggl_chosen_time_zone()), member.time_zone, me.time_zone, 'UTC'
        ) as name
    ) zone
) local;

comment on view staging.stg_toggl_track__wide_entries is
    'All time entries, one row each, with the names of what they belong to and the local day, week and month of their start. It needs no join, and costs no more than the columns that are asked for. The time zone is the one that `set toggl_track.time_zone = ''Europe/Berlin''` names, for a session, a role or a database; without it, each person''s own.';
comment on column staging.stg_toggl_track__wide_entries.time_entry_id is
    'Toggl''s id of the entry, the same in all its interfaces.';
comment on column staging.stg_toggl_track__wide_entries.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__wide_entries.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__wide_entries.user_id is 'Toggl''s id of the user whose entry it is.';
comment on column staging.stg_toggl_track__wide_entries.user_name is
    'The user''s name as it is now, by the workspace''s users, its memberships or their own profile; of somebody who is in none of them, as reports have it.';
comment on column staging.stg_toggl_track__wide_entries.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__wide_entries.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__wide_entries.project_id is
    'Toggl''s id of the project; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__wide_entries.project_name is
    'Name of the project; null where it has none, or was deleted.';
comment on column staging.stg_toggl_track__wide_entries.project_color is 'The project''s colour, as #rrggbb.';
comment on column staging.stg_toggl_track__wide_entries.task_id is
    'Toggl''s id of the task; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__wide_entries.task_name is
    'Name of the task; null where it has none, or was deleted.';
comment on column staging.stg_toggl_track__wide_entries.description is 'What was worked on.';
comment on column staging.stg_toggl_track__wide_entries.tags is 'Names of the tags; empty where it has none.';
comment on column staging.stg_toggl_track__wide_entries.tag_names is
    'The same in one text, with commas between them; null where it has none.';
comment on column staging.stg_toggl_track__wide_entries.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__wide_entries.started_at is 'Its start.';
comment on column staging.stg_toggl_track__wide_entries.stopped_at is 'Its end; null while it runs.';
comment on column staging.stg_toggl_track__wide_entries.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__wide_entries.seconds is
    'How long it took, in seconds; null while it runs. It may differ from the time between start and stop.';
comment on column staging.stg_toggl_track__wide_entries.hours is
    'The same in hours, not rounded: round sums, not what is summed.';
comment on column staging.stg_toggl_track__wide_entries.hours_so_far is
    'The same; of a running entry, the hours from its start to now, or 0 where it starts in the future.';
comment on column staging.stg_toggl_track__wide_entries.time_zone is
    'The time zone of the columns that follow: that of the setting toggl_track.time_zone, else the person''s own, else UTC. A setting that this server does not know is an error, a person''s zone that it does not know counts as none.';
comment on column staging.stg_toggl_track__wide_entries.started_local is 'Its start by the clock of that zone.';
comment on column staging.stg_toggl_track__wide_entries.day is
    'The local day of its start. For hours by day see the view of daily entries, which divides at midnight.';
comment on column staging.stg_toggl_track__wide_entries.week is
    'The first day of the week of that day, by the person''s profile; of somebody whose profile is not read, by that of the token''s owner (of several the one with the lowest id), else Monday.';
comment on column staging.stg_toggl_track__wide_entries.month is 'The first day of the month of that day.';
comment on column staging.stg_toggl_track__wide_entries.billable_amount is
    'Its price by the report, in units of the currency (not in cents), not rounded: round sums, not what is summed.';
comment on column staging.stg_toggl_track__wide_entries.currency is 'Currency of the amount.';
