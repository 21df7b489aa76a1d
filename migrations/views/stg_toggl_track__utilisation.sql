-- Two memberships of one person in one workspace make no second row.
create or replace view staging.stg_toggl_track__utilisation as
with member as (
    select distinct on (workspace_id, user_id) workspace_id, user_id, working_hours_seconds
    from staging.stg_toggl_track__workspace_users
    where working_hours_seconds > 0
    order by workspace_id, user_id, workspace_user_id desc
)
select
    d.workspace_id,
    d.user_id,
    d.user_name,
    d.week,
    sum(d.seconds)::bigint                                  as seconds,
    coalesce(sum(d.seconds) filter (where d.is_billable), 0)::bigint as billable_seconds,
    coalesce(member.working_hours_seconds, nullif(greatest(workspace.working_hours_seconds, 0), 0))
                                                            as working_seconds,
    sum(d.hours)                                            as hours,
    coalesce(sum(d.hours) filter (where d.is_billable), 0)  as billable_hours,
    coalesce(member.working_hours_seconds, nullif(greatest(workspace.working_hours_seconds, 0), 0)) / 3600.0
                                                            as working_hours,
    sum(d.seconds) / coalesce(member.working_hours_seconds, nullif(greatest(workspace.working_hours_seconds, 0), 0))
                                                            as utilisation_share,
    coalesce(sum(d.seconds) filter (where d.is_billable), 0)
        / coalesce(member.working_hours_seconds, nullif(greatest(workspace.working_hours_seconds, 0), 0))
                                                            as billable_share
from staging.stg_toggl_track__daily_entries d
left join staging.stg_toggl_track__workspaces workspace on workspace.workspace_id = d.workspace_id
left join member on member.workspace_id = d.workspace_id and member.user_id = d.user_id
group by d.workspace_id, d.user_id, d.user_name, d.week, member.working_hours_seconds,
    workspace.working_hours_seconds;

comment on view staging.stg_toggl_track__utilisation is
    'Hours against working hours: one row for each workspace, person and week in which something was tracked. Working hours are taken as those of a week; Toggl does not say in its documentation whether they are.';
comment on column staging.stg_toggl_track__utilisation.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__utilisation.user_id is 'Toggl''s id of the person.';
comment on column staging.stg_toggl_track__utilisation.user_name is 'Name of the person.';
comment on column staging.stg_toggl_track__utilisation.week is
    'The first day of the week, as in the view of wide entries.';
comment on column staging.stg_toggl_track__utilisation.seconds is
    'Tracked time, in seconds, without entries that are running.';
comment on column staging.stg_toggl_track__utilisation.billable_seconds is 'What of it is billable, in seconds.';
comment on column staging.stg_toggl_track__utilisation.working_seconds is
    'Working time that is expected of the person, else of everybody in the workspace, as set in Toggl; null where it is not set.';
comment on column staging.stg_toggl_track__utilisation.hours is 'Tracked time in hours, not rounded.';
comment on column staging.stg_toggl_track__utilisation.billable_hours is 'What of it is billable, in hours.';
comment on column staging.stg_toggl_track__utilisation.working_hours is 'Working time in hours.';
comment on column staging.stg_toggl_track__utilisation.utilisation_share is
    'Tracked by working time: 1 where they are the same.';
comment on column staging.stg_toggl_track__utilisation.billable_share is 'Billable by working time.';
