create or replace view staging.stg_toggl_track__tags as
select
    t.source_id                                             as tag_id,
    t.workspace_id,
    t.data->>'name'                                         as tag_name,
    staging.toggl_bigint(t.data->>'creator_id')             as creator_id,
    nullif(t.data->>'integration_provider', '')             as integration_provider,
    nullif(t.data->>'integration_ext_type', '')             as integration_external_type,
    nullif(t.data->>'integration_ext_id', '')               as integration_external_id,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__tags t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__tags is 'Tags.';
comment on column staging.stg_toggl_track__tags.tag_id is 'Toggl''s id of the tag.';
comment on column staging.stg_toggl_track__tags.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__tags.tag_name is 'Name of the tag.';
comment on column staging.stg_toggl_track__tags.creator_id is 'The user who created it.';
comment on column staging.stg_toggl_track__tags.integration_provider is
    'System that it is linked with: asana, jira or salesforce.';
comment on column staging.stg_toggl_track__tags.integration_external_type is 'What it is called in that system.';
comment on column staging.stg_toggl_track__tags.integration_external_id is 'Its id in that system.';
comment on column staging.stg_toggl_track__tags.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__tags.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__tags.synced_at is 'When the loader last wrote its row.';
