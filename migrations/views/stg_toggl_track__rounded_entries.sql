create or replace view staging.stg_toggl_track__rounded_entries as
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
    w.is_billable,
    w.started_at,
    w.day,
    w.week,
    w.month,
    w.seconds,
    workspace.rounding,
    workspace.rounding_seconds / 60                         as rounding_minutes,
    staging.toggl_rounded(w.seconds, workspace.rounding, workspace.rounding_seconds / 60) as rounded_seconds,
    staging.toggl_rounded(w.seconds, workspace.rounding, workspace.rounding_seconds / 60) / 3600.0 as rounded_hours
from staging.stg_toggl_track__wide_entries w
left join staging.stg_toggl_track__workspaces workspace on workspace.workspace_id = w.workspace_id;

comment on view staging.stg_toggl_track__rounded_entries is
    'Time entries, rounded one by one as their workspace''s reports do it. A report that is grouped rounds each group''s sum instead: staging.toggl_rounded(sum(seconds)::bigint, rounding, rounding_minutes).';
comment on column staging.stg_toggl_track__rounded_entries.time_entry_id is
    'Toggl''s id of the entry, the same in all its interfaces.';
comment on column staging.stg_toggl_track__rounded_entries.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__rounded_entries.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__rounded_entries.user_id is 'Toggl''s id of the user whose time it is.';
comment on column staging.stg_toggl_track__rounded_entries.user_name is
    'The user''s name as it is now; of somebody who is no user any more, as reports have it.';
comment on column staging.stg_toggl_track__rounded_entries.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__rounded_entries.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__rounded_entries.project_id is
    'Toggl''s id of the project; null for what has none.';
comment on column staging.stg_toggl_track__rounded_entries.project_name is
    'Name of the project; null for what has none, and where it was deleted.';
comment on column staging.stg_toggl_track__rounded_entries.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__rounded_entries.started_at is 'Its start.';
comment on column staging.stg_toggl_track__rounded_entries.day is
    'The local day of its start, in the time zone of the view of wide entries.';
comment on column staging.stg_toggl_track__rounded_entries.week is
    'The first day of the week of that day, as in the view of wide entries.';
comment on column staging.stg_toggl_track__rounded_entries.month is 'The first day of the month of that day.';
comment on column staging.stg_toggl_track__rounded_entries.seconds is
    'How long it took, in seconds; null while it runs.';
comment on column staging.stg_toggl_track__rounded_entries.rounding is
    'How the workspace''s reports round: -1 down, 0 to the nearest, 1 up.';
comment on column staging.stg_toggl_track__rounded_entries.rounding_minutes is
    'To a multiple of how many minutes; 0 for not at all.';
comment on column staging.stg_toggl_track__rounded_entries.rounded_seconds is
    'How long it took by such a report, in seconds.';
comment on column staging.stg_toggl_track__rounded_entries.rounded_hours is 'The same in hours.';
