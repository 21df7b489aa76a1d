-- Not `<> all (array(…))`, as in other views: the view of wide entries joins this below a `distinct on`, where that
-- would keep Postgres from reading with several workers.
create or replace view staging.stg_toggl_track__workspace_users as
select
    t.source_id                                                        as workspace_user_id,
    t.workspace_id,
    coalesce(staging.toggl_bigint(t.data->>'uid'), staging.toggl_bigint(t.data->>'user_id')) as user_id,
    t.data->>'name'                                                    as user_name,
    t.data->>'email'                                                   as email,
    nullif(t.data->>'timezone', '')                                    as timezone,
    nullif(t.data->>'role', '')                                        as role,
    staging.toggl_bigint(t.data->>'role_id')                           as role_id,
    staging.toggl_boolean(t.data->>'admin')                            as is_admin,
    staging.toggl_boolean(t.data->>'workspace_admin')                  as is_workspace_admin,
    staging.toggl_boolean(t.data->>'organization_admin')               as is_organization_admin,
    staging.toggl_boolean(t.data->>'active')                           as has_joined,
    staging.toggl_boolean(t.data->>'inactive')                         as is_deactivated,
    staging.toggl_boolean(t.data->>'is_direct')                        as is_direct,
    staging.toggl_boolean(t.data->>'2fa_enabled')                      as is_2fa_enabled,
    staging.toggl_boolean(t.data->>'view_edit_billable_rates')         as can_edit_billable_rates,
    staging.toggl_boolean(t.data->>'view_edit_labor_costs')            as can_edit_labor_costs,
    staging.toggl_bigints(t.data->'group_ids')                         as group_ids,
    staging.toggl_numeric(t.data->>'rate')                             as hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')              as rate_updated_at,
    staging.toggl_numeric(t.data->>'labor_cost')                       as labor_cost,
    staging.toggl_timestamp(t.data->>'labor_cost_last_updated')        as labor_cost_updated_at,
    staging.toggl_bigint(t.data->>'working_hours_in_minutes') * 60     as working_hours_seconds,
    nullif(t.data->>'avatar_file_name', '')                            as avatar_file_name,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__workspace_users t
where t.deleted_at is null
    and t.workspace_id not in (
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    );

comment on view staging.stg_toggl_track__workspace_users is
    'Memberships of workspaces, with what the view of users does not have: rights, rates and groups.';
comment on column staging.stg_toggl_track__workspace_users.workspace_user_id is
    'Toggl''s id of the membership; entries know the user_id alone.';
comment on column staging.stg_toggl_track__workspace_users.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__workspace_users.user_id is
    'Toggl''s id of the user, the same in all workspaces.';
comment on column staging.stg_toggl_track__workspace_users.user_name is 'The user''s full name.';
comment on column staging.stg_toggl_track__workspace_users.email is 'The user''s e-mail address.';
comment on column staging.stg_toggl_track__workspace_users.timezone is
    'The user''s time zone, by its name in the IANA database.';
comment on column staging.stg_toggl_track__workspace_users.role is 'The user''s role in the workspace.';
comment on column staging.stg_toggl_track__workspace_users.role_id is 'Toggl''s number of the role.';
comment on column staging.stg_toggl_track__workspace_users.is_admin is 'Whether the user administers the workspace.';
comment on column staging.stg_toggl_track__workspace_users.is_workspace_admin is
    'Whether the user administers the workspace.';
comment on column staging.stg_toggl_track__workspace_users.is_organization_admin is
    'Whether the user administers the organization.';
comment on column staging.stg_toggl_track__workspace_users.has_joined is
    'Whether the user has accepted the invitation.';
comment on column staging.stg_toggl_track__workspace_users.is_deactivated is 'Whether the user has been shut out.';
comment on column staging.stg_toggl_track__workspace_users.is_direct is
    'False for those who are members through a group alone.';
comment on column staging.stg_toggl_track__workspace_users.is_2fa_enabled is
    'Whether the user logs in with a second factor.';
comment on column staging.stg_toggl_track__workspace_users.can_edit_billable_rates is
    'Whether the user sees and changes hourly rates.';
comment on column staging.stg_toggl_track__workspace_users.can_edit_labor_costs is
    'Whether the user sees and changes labour costs.';
comment on column staging.stg_toggl_track__workspace_users.group_ids is
    'The groups that the user is in; empty where none.';
comment on column staging.stg_toggl_track__workspace_users.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__workspace_users.rate_updated_at is 'When the hourly rate was last changed.';
comment on column staging.stg_toggl_track__workspace_users.labor_cost is
    'What an hour of the user costs, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__workspace_users.labor_cost_updated_at is
    'When the labour cost was last changed.';
comment on column staging.stg_toggl_track__workspace_users.working_hours_seconds is
    'Working time that is expected of a user, as set in Toggl.';
comment on column staging.stg_toggl_track__workspace_users.avatar_file_name is 'Their picture.';
comment on column staging.stg_toggl_track__workspace_users.modified_at is
    'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__workspace_users.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__workspace_users.synced_at is 'When the loader last wrote its row.';
