create or replace view staging.stg_toggl_track__clients as
select
    t.source_id                                             as client_id,
    t.workspace_id,
    t.data->>'name'                                         as client_name,
    staging.toggl_boolean(t.data->>'archived')              as is_archived,
    nullif(t.data->>'notes', '')                            as notes,
    staging.toggl_bigint(t.data->>'creator_id')             as creator_id,
    nullif(t.data->>'external_reference', '')               as external_reference,
    nullif(t.data->>'integration_provider', '')             as integration_provider,
    nullif(t.data->>'integration_ext_type', '')             as integration_external_type,
    nullif(t.data->>'integration_ext_id', '')               as integration_external_id,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__clients t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__clients is 'Clients, archived ones too.';
comment on column staging.stg_toggl_track__clients.client_id is 'Toggl''s id of the client.';
comment on column staging.stg_toggl_track__clients.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__clients.client_name is 'Name of the client.';
comment on column staging.stg_toggl_track__clients.is_archived is 'Whether it has been archived.';
comment on column staging.stg_toggl_track__clients.notes is 'What was noted about the client.';
comment on column staging.stg_toggl_track__clients.creator_id is 'The user who created it.';
comment on column staging.stg_toggl_track__clients.external_reference is
    'Its id in a system of one''s own, as it was entered in Toggl.';
comment on column staging.stg_toggl_track__clients.integration_provider is
    'System that it is linked with: asana, jira or salesforce.';
comment on column staging.stg_toggl_track__clients.integration_external_type is 'What it is called in that system.';
comment on column staging.stg_toggl_track__clients.integration_external_id is 'Its id in that system.';
comment on column staging.stg_toggl_track__clients.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__clients.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__clients.synced_at is 'When the loader last wrote its row.';
