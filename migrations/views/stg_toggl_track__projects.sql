create or replace view staging.stg_toggl_track__projects as
select
    t.source_id                                                        as project_id,
    t.workspace_id,
    coalesce(staging.toggl_bigint(t.data->>'client_id'), staging.toggl_bigint(t.data->>'cid')) as client_id,
    t.data->>'name'                                                    as project_name,
    nullif(t.data->>'status', '')                                      as status,
    staging.toggl_boolean(t.data->>'active')                           as is_active,
    staging.toggl_boolean(t.data->>'billable')                         as is_billable,
    staging.toggl_boolean(t.data->>'is_private')                       as is_private,
    staging.toggl_boolean(t.data->>'is_shared')                        as is_shared,
    staging.toggl_boolean(t.data->>'pinned')                           as is_pinned,
    staging.toggl_boolean(t.data->>'template')                         as is_template,
    staging.toggl_bigint(t.data->>'template_id')                       as template_id,
    staging.toggl_boolean(t.data->>'recurring')                        as is_recurring,
    staging.toggl_date(t.data->'current_period'->>'start_date')        as current_period_start_date,
    staging.toggl_date(t.data->'current_period'->>'end_date')          as current_period_end_date,
    staging.toggl_boolean(t.data->>'can_track_time')                   as can_track_time,
    staging.toggl_boolean(t.data->>'auto_estimates')                   as has_auto_estimates,
    staging.toggl_bigint(t.data->>'estimated_seconds')                 as estimated_seconds,
    staging.toggl_bigint(t.data->>'actual_seconds')                    as actual_seconds,
    staging.toggl_bigint(t.data->>'tasks_count')                       as task_count,
    nullif(t.data->>'currency', '')                                    as currency,
    staging.toggl_numeric(t.data->>'rate')                             as hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')              as rate_updated_at,
    staging.toggl_numeric(t.data->>'fixed_fee')                        as fixed_fee,
    nullif(t.data->>'color', '')                                       as color,
    staging.toggl_date(t.data->>'start_date')                          as start_date,
    staging.toggl_date(t.data->>'end_date')                            as end_date,
    nullif(t.data->>'external_reference', '')                          as external_reference,
    nullif(t.data->>'integration_provider', '')                        as integration_provider,
    nullif(t.data->>'integration_ext_type', '')                        as integration_external_type,
    nullif(t.data->>'integration_ext_id', '')                          as integration_external_id,
    staging.toggl_timestamp(t.data->>'created_at')                     as created_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__projects t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__projects is 'Projects, archived ones too.';
comment on column staging.stg_toggl_track__projects.project_id is 'Toggl''s id of the project.';
comment on column staging.stg_toggl_track__projects.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__projects.client_id is 'Toggl''s id of the client.';
comment on column staging.stg_toggl_track__projects.project_name is 'Name of the project.';
comment on column staging.stg_toggl_track__projects.status is 'upcoming, active, ended, archived or deleted.';
comment on column staging.stg_toggl_track__projects.is_active is 'False for archived ones.';
comment on column staging.stg_toggl_track__projects.is_billable is
    'Whether its entries are billable unless they say otherwise.';
comment on column staging.stg_toggl_track__projects.is_private is 'Whether only its own members see it.';
comment on column staging.stg_toggl_track__projects.is_shared is 'Whether it is shared with others.';
comment on column staging.stg_toggl_track__projects.is_pinned is 'Whether the token''s owner has pinned it.';
comment on column staging.stg_toggl_track__projects.is_template is 'Whether others are made from it.';
comment on column staging.stg_toggl_track__projects.template_id is 'The template it was made from.';
comment on column staging.stg_toggl_track__projects.is_recurring is
    'Whether its estimate begins anew with each period.';
comment on column staging.stg_toggl_track__projects.current_period_start_date is
    'First day of the current period of a recurring project.';
comment on column staging.stg_toggl_track__projects.current_period_end_date is
    'Last day of the current period of a recurring project.';
comment on column staging.stg_toggl_track__projects.can_track_time is
    'Whether the token''s owner may track time on it.';
comment on column staging.stg_toggl_track__projects.has_auto_estimates is
    'Whether its estimate is the sum of its tasks'' estimates.';
comment on column staging.stg_toggl_track__projects.estimated_seconds is 'Time it is expected to take.';
comment on column staging.stg_toggl_track__projects.actual_seconds is
    'Time tracked on it, as Toggl reckons it now and then.';
comment on column staging.stg_toggl_track__projects.task_count is 'How many tasks it has.';
comment on column staging.stg_toggl_track__projects.currency is 'Currency of its amounts.';
comment on column staging.stg_toggl_track__projects.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__projects.rate_updated_at is 'When the hourly rate was last changed.';
comment on column staging.stg_toggl_track__projects.fixed_fee is
    'Price of the whole project, in units of its currency.';
comment on column staging.stg_toggl_track__projects.color is 'As #rrggbb.';
comment on column staging.stg_toggl_track__projects.start_date is 'Its first day.';
comment on column staging.stg_toggl_track__projects.end_date is 'Its last day.';
comment on column staging.stg_toggl_track__projects.external_reference is
    'Its id in a system of one''s own, as it was entered in Toggl.';
comment on column staging.stg_toggl_track__projects.integration_provider is
    'System that it is linked with: asana, jira or salesforce.';
comment on column staging.stg_toggl_track__projects.integration_external_type is 'What it is called in that system.';
comment on column staging.stg_toggl_track__projects.integration_external_id is 'Its id in that system.';
comment on column staging.stg_toggl_track__projects.created_at is 'When it was created.';
comment on column staging.stg_toggl_track__projects.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__projects.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__projects.synced_at is 'When the loader last wrote its row.';
