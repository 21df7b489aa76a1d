create or replace view staging.stg_toggl_track__groups as
select
    t.source_id                                             as group_id,
    t.workspace_id,
    t.data->>'name'                                         as group_name,
    staging.toggl_boolean(t.data->>'has_users')             as has_users,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__groups t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__groups is 'Groups of users.';
comment on column staging.stg_toggl_track__groups.group_id is 'Toggl''s id of the group.';
comment on column staging.stg_toggl_track__groups.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__groups.group_name is 'Name of the group.';
comment on column staging.stg_toggl_track__groups.has_users is 'Whether anybody is in it.';
comment on column staging.stg_toggl_track__groups.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__groups.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__groups.synced_at is 'When the loader last wrote its row.';
