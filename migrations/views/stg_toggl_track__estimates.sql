-- The estimate of a recurring project is one for each of its periods, so only the present one's time counts.
create or replace view staging.stg_toggl_track__estimates as
with estimated as (
    select
        project.workspace_id, project.client_id, project.project_id, project.project_name,
        null::bigint as task_id, null::text as task_name,
        project.estimated_seconds, project.actual_seconds as toggl_seconds,
        case when project.is_recurring then project.current_period_start_date end as counted_from_date,
        case when project.is_recurring then project.current_period_end_date end as counted_to_date
    from staging.stg_toggl_track__projects project
    where project.estimated_seconds > 0
    union all
    select
        task.workspace_id, project.client_id, task.project_id, project.project_name, task.task_id, task.task_name,
        task.estimated_seconds, task.tracked_seconds,
        case when task.is_recurring then project.current_period_start_date end,
        case when task.is_recurring then project.current_period_end_date end
    from staging.stg_toggl_track__tasks task
    left join staging.stg_toggl_track__projects project on project.project_id = task.project_id
    where task.estimated_seconds > 0
),
-- By day where a period has to be cut out, else in one.
tracked as materialized (
    select
        e.project_id,
        e.task_id,
        case when e.project_id = any(array(
            select project_id from staging.stg_toggl_track__projects where is_recurring
        )) then e.day end as day,
        sum(e.seconds)::bigint as seconds
    from staging.stg_toggl_track__wide_entries e
    where e.project_id = any(array(select project_id from estimated))
    group by 1, 2, 3
)
select
    estimated.workspace_id,
    estimated.client_id,
    client.client_name,
    estimated.project_id,
    estimated.project_name,
    estimated.task_id,
    estimated.task_name,
    estimated.counted_from_date,
    estimated.counted_to_date,
    estimated.estimated_seconds,
    coalesce(actual.seconds, 0)                             as actual_seconds,
    estimated.toggl_seconds,
    estimated.estimated_seconds / 3600.0                    as estimated_hours,
    coalesce(actual.seconds, 0) / 3600.0                    as actual_hours,
    (estimated.estimated_seconds - coalesce(actual.seconds, 0)) / 3600.0 as remaining_hours,
    coalesce(actual.seconds, 0)::numeric / estimated.estimated_seconds as used_share
from estimated
left join staging.stg_toggl_track__clients client on client.client_id = estimated.client_id
left join lateral (
    select sum(tracked.seconds)::bigint as seconds
    from tracked
    where tracked.project_id = estimated.project_id
        and (estimated.task_id is null or tracked.task_id = estimated.task_id)
        and (estimated.counted_from_date is null or tracked.day >= estimated.counted_from_date)
        and (estimated.counted_to_date is null or tracked.day <= estimated.counted_to_date)
) actual on true;

comment on view staging.stg_toggl_track__estimates is
    'Estimate against actual: one row for each project that has an estimate, with task_id null, and one for each such task. Of a recurring project only the present period counts.';
comment on column staging.stg_toggl_track__estimates.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__estimates.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__estimates.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__estimates.project_id is 'Toggl''s id of the project.';
comment on column staging.stg_toggl_track__estimates.project_name is 'Name of the project.';
comment on column staging.stg_toggl_track__estimates.task_id is
    'Toggl''s id of the task; null in the row of the project as a whole.';
comment on column staging.stg_toggl_track__estimates.task_name is
    'Name of the task; null in the row of the project as a whole.';
comment on column staging.stg_toggl_track__estimates.counted_from_date is
    'First day of the period of a recurring project; null where all time counts.';
comment on column staging.stg_toggl_track__estimates.counted_to_date is 'Last day of that period.';
comment on column staging.stg_toggl_track__estimates.estimated_seconds is 'Time it is expected to take, in seconds.';
comment on column staging.stg_toggl_track__estimates.actual_seconds is
    'Time that the entries here say it took, in seconds, without running ones.';
comment on column staging.stg_toggl_track__estimates.toggl_seconds is
    'The same as Toggl reckons it now and then, for comparison: entries that are not read here count in it.';
comment on column staging.stg_toggl_track__estimates.estimated_hours is 'Time it is expected to take, in hours.';
comment on column staging.stg_toggl_track__estimates.actual_hours is 'Time that it took, in hours, not rounded.';
comment on column staging.stg_toggl_track__estimates.remaining_hours is
    'What is left of the estimate, in hours; negative where it is used up.';
comment on column staging.stg_toggl_track__estimates.used_share is 'Actual by estimate: 1 where it is just used up.';
