create or replace view staging.stg_toggl_track__tasks as
select
    t.source_id                                                       as task_id,
    t.workspace_id,
    coalesce(staging.toggl_bigint(t.data->>'project_id'), staging.toggl_bigint(t.data->>'pid')) as project_id,
    coalesce(staging.toggl_bigint(t.data->>'client_id'), staging.toggl_bigint(t.data->>'cid'))  as client_id,
    coalesce(staging.toggl_bigint(t.data->>'user_id'), staging.toggl_bigint(t.data->>'uid'))    as user_id,
    t.data->>'name'                                                   as task_name,
    staging.toggl_boolean(t.data->>'active')                          as is_active,
    staging.toggl_boolean(t.data->>'recurring')                       as is_recurring,
    staging.toggl_bigint(t.data->>'estimated_seconds')                as estimated_seconds,
    round(staging.toggl_numeric(t.data->>'tracked_seconds') / 1000)::bigint as tracked_seconds,
    staging.toggl_numeric(t.data->>'rate')                            as hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')             as rate_updated_at,
    nullif(t.data->>'external_reference', '')                         as external_reference,
    nullif(t.data->>'integration_provider', '')                       as integration_provider,
    nullif(t.data->>'integration_ext_type', '')                       as integration_external_type,
    nullif(t.data->>'integration_ext_id', '')                         as integration_external_id,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__tasks t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__tasks is 'Tasks of projects, done ones too.';
comment on column staging.stg_toggl_track__tasks.task_id is 'Toggl''s id of the task.';
comment on column staging.stg_toggl_track__tasks.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__tasks.project_id is 'Toggl''s id of the project.';
comment on column staging.stg_toggl_track__tasks.client_id is 'Toggl''s id of the client.';
comment on column staging.stg_toggl_track__tasks.user_id is 'The user it is given to; null for everybody.';
comment on column staging.stg_toggl_track__tasks.task_name is 'Name of the task.';
comment on column staging.stg_toggl_track__tasks.is_active is 'False for those that are done.';
comment on column staging.stg_toggl_track__tasks.is_recurring is
    'Whether it comes again with each period of its project.';
comment on column staging.stg_toggl_track__tasks.estimated_seconds is 'Time it is expected to take.';
comment on column staging.stg_toggl_track__tasks.tracked_seconds is
    'Time tracked on it, in seconds; what Toggl sends under that name are milliseconds.';
comment on column staging.stg_toggl_track__tasks.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__tasks.rate_updated_at is 'When the hourly rate was last changed.';
comment on column staging.stg_toggl_track__tasks.external_reference is
    'Its id in a system of one''s own, as it was entered in Toggl.';
comment on column staging.stg_toggl_track__tasks.integration_provider is
    'System that it is linked with: asana, jira or salesforce.';
comment on column staging.stg_toggl_track__tasks.integration_external_type is 'What it is called in that system.';
comment on column staging.stg_toggl_track__tasks.integration_external_id is 'Its id in that system.';
comment on column staging.stg_toggl_track__tasks.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__tasks.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__tasks.synced_at is 'When the loader last wrote its row.';
