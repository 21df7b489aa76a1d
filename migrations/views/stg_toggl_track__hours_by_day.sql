-- On one day an entry has one part.
create or replace view staging.stg_toggl_track__hours_by_day as
select
    d.day,
    d.week,
    d.month,
    d.workspace_id,
    d.workspace_name,
    d.user_id,
    d.user_name,
    d.client_id,
    d.client_name,
    d.project_id,
    d.project_name,
    d.task_id,
    d.task_name,
    d.is_billable,
    d.currency,
    count(*)                                                as entry_count,
    sum(d.seconds)::bigint                                  as seconds,
    sum(d.hours)                                            as hours,
    sum(d.hours_so_far)                                     as hours_so_far,
    sum(d.billable_amount)                                  as billable_amount
from staging.stg_toggl_track__daily_entries d
group by d.day, d.week, d.month, d.workspace_id, d.workspace_name, d.user_id, d.user_name, d.client_id,
    d.client_name, d.project_id, d.project_name, d.task_id, d.task_name, d.is_billable, d.currency;

comment on view staging.stg_toggl_track__hours_by_day is
    'Hours by local day, user, client, project, task and whether they are billable; entries over midnight count on each of their days. For weeks and months, group by those columns.';
comment on column staging.stg_toggl_track__hours_by_day.day is
    'The local day, in the time zone of the view of daily entries.';
comment on column staging.stg_toggl_track__hours_by_day.week is
    'The first day of the week of that day, as in the view of wide entries.';
comment on column staging.stg_toggl_track__hours_by_day.month is 'The first day of the month of that day.';
comment on column staging.stg_toggl_track__hours_by_day.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__hours_by_day.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__hours_by_day.user_id is 'Toggl''s id of the user whose time it is.';
comment on column staging.stg_toggl_track__hours_by_day.user_name is
    'The user''s name as it is now; of somebody who is no user any more, as reports have it.';
comment on column staging.stg_toggl_track__hours_by_day.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__hours_by_day.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__hours_by_day.project_id is
    'Toggl''s id of the project; null for what has none.';
comment on column staging.stg_toggl_track__hours_by_day.project_name is
    'Name of the project; null for what has none, and where it was deleted.';
comment on column staging.stg_toggl_track__hours_by_day.task_id is 'Toggl''s id of the task; null for what has none.';
comment on column staging.stg_toggl_track__hours_by_day.task_name is
    'Name of the task; null for what has none, and where it was deleted.';
comment on column staging.stg_toggl_track__hours_by_day.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__hours_by_day.currency is 'Currency of the amount.';
comment on column staging.stg_toggl_track__hours_by_day.entry_count is
    'How many entries, or parts of entries, it is made of.';
comment on column staging.stg_toggl_track__hours_by_day.seconds is
    'Their time, in seconds, without entries that are running.';
comment on column staging.stg_toggl_track__hours_by_day.hours is
    'The same in hours, not rounded: round what you show, not what you add up.';
comment on column staging.stg_toggl_track__hours_by_day.hours_so_far is 'The same, with running entries up to now.';
comment on column staging.stg_toggl_track__hours_by_day.billable_amount is
    'Their price by the report, in units of the currency (not in cents), not rounded.';
