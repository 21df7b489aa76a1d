create or replace view staging.stg_toggl_track__workspaces as
select
    t.source_id                                                            as workspace_id,
    staging.toggl_bigint(t.data->>'organization_id')                       as organization_id,
    t.data->>'name'                                                        as workspace_name,
    nullif(t.data->>'role', '')                                            as role,
    staging.toggl_boolean(t.data->>'admin')                                as is_admin,
    staging.toggl_boolean(t.data->>'premium')                              as is_premium,
    staging.toggl_boolean(t.data->>'business_ws')                          as is_business,
    nullif(t.data->>'default_currency', '')                                as default_currency,
    staging.toggl_numeric(t.data->>'default_hourly_rate')                  as default_hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')                  as rate_updated_at,
    staging.toggl_bigint(t.data->>'rounding')                              as rounding,
    staging.toggl_bigint(t.data->>'rounding_minutes') * 60                 as rounding_seconds,
    staging.toggl_bigint(t.data->>'working_hours_in_minutes') * 60         as working_hours_seconds,
    staging.toggl_boolean(t.data->>'only_admins_may_create_projects')      as only_admins_may_create_projects,
    staging.toggl_boolean(t.data->>'only_admins_may_create_tags')          as only_admins_may_create_tags,
    staging.toggl_boolean(t.data->>'only_admins_see_billable_rates')       as only_admins_see_billable_rates,
    staging.toggl_boolean(t.data->>'only_admins_see_team_dashboard')       as only_admins_see_team_dashboard,
    staging.toggl_boolean(t.data->>'limit_public_project_data')            as is_public_project_data_limited,
    staging.toggl_boolean(t.data->>'projects_billable_by_default')         as is_billable_by_default,
    staging.toggl_boolean(t.data->>'projects_private_by_default')          as is_private_by_default,
    staging.toggl_boolean(t.data->>'projects_enforce_billable')            as is_billable_enforced,
    staging.toggl_boolean(t.data->>'reports_collapse')                     as is_reports_collapsed,
    staging.toggl_boolean(t.data->>'hide_start_end_times')                 as is_start_stop_hidden,
    staging.toggl_boolean(t.data->>'ical_enabled')                         as is_ical_enabled,
    nullif(t.data->>'logo_url', '')                                        as logo_url,
    staging.toggl_bigint(t.data->>'max_data_retention_days')               as max_data_retention_days,
    staging.toggl_timestamp(t.data->>'suspended_at')                       as suspended_at,
    staging.toggl_timestamp(t.data->>'last_modified')                      as last_modified_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__workspaces t
where t.deleted_at is null;

comment on view staging.stg_toggl_track__workspaces is
    'Workspaces that the owners of the API tokens are members of. One that the last of them has left is hidden, and with it everything that belongs to it, in every view; it is shown again when one of them is back. A suspended one stays, with what it held when it could last be read.';
comment on column staging.stg_toggl_track__workspaces.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__workspaces.organization_id is 'Toggl''s id of the organization.';
comment on column staging.stg_toggl_track__workspaces.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__workspaces.role is 'Role of the token''s owner in it.';
comment on column staging.stg_toggl_track__workspaces.is_admin is 'Whether the token''s owner administers it.';
comment on column staging.stg_toggl_track__workspaces.is_premium is 'Whether its plan is Starter or better.';
comment on column staging.stg_toggl_track__workspaces.is_business is 'Whether its plan is Premium or better.';
comment on column staging.stg_toggl_track__workspaces.default_currency is
    'Currency of amounts for which no other is said.';
comment on column staging.stg_toggl_track__workspaces.default_hourly_rate is
    'Price of an hour for which no other is said, in units of its currency.';
comment on column staging.stg_toggl_track__workspaces.rate_updated_at is 'When the hourly rate was last changed.';
comment on column staging.stg_toggl_track__workspaces.rounding is
    'How reports round durations: -1 down, 0 to the nearest, 1 up.';
comment on column staging.stg_toggl_track__workspaces.rounding_seconds is
    'To a multiple of how much reports round; 0 for not at all.';
comment on column staging.stg_toggl_track__workspaces.working_hours_seconds is
    'Working time that is expected of a user, as set in Toggl.';
comment on column staging.stg_toggl_track__workspaces.only_admins_may_create_projects is
    'Whether only administrators may create projects.';
comment on column staging.stg_toggl_track__workspaces.only_admins_may_create_tags is
    'Whether only administrators may create tags.';
comment on column staging.stg_toggl_track__workspaces.only_admins_see_billable_rates is
    'Whether only administrators see hourly rates.';
comment on column staging.stg_toggl_track__workspaces.only_admins_see_team_dashboard is
    'Whether only administrators see the team''s dashboard.';
comment on column staging.stg_toggl_track__workspaces.is_public_project_data_limited is
    'Whether members see less of others'' public projects.';
comment on column staging.stg_toggl_track__workspaces.is_billable_by_default is 'Whether new projects are billable.';
comment on column staging.stg_toggl_track__workspaces.is_private_by_default is 'Whether new projects are private.';
comment on column staging.stg_toggl_track__workspaces.is_billable_enforced is
    'Whether entries have to be as billable as their project.';
comment on column staging.stg_toggl_track__workspaces.is_reports_collapsed is 'Whether reports come collapsed.';
comment on column staging.stg_toggl_track__workspaces.is_start_stop_hidden is
    'Whether starts and stops of entries are not shown.';
comment on column staging.stg_toggl_track__workspaces.is_ical_enabled is
    'Whether entries can be subscribed to as a calendar.';
comment on column staging.stg_toggl_track__workspaces.logo_url is 'Its logo.';
comment on column staging.stg_toggl_track__workspaces.max_data_retention_days is
    'After how many days Toggl drops data; null for never.';
comment on column staging.stg_toggl_track__workspaces.suspended_at is
    'When it was suspended: until that ends Toggl tells nothing of what belongs to it, and freshness and coverage say how old that is. Null where it is not.';
comment on column staging.stg_toggl_track__workspaces.last_modified_at is
    'When something in it last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__workspaces.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__workspaces.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__workspaces.synced_at is 'When the loader last wrote its row.';
