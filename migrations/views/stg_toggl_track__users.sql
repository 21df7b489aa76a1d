create or replace view staging.stg_toggl_track__users as
select
    t.source_id                                             as user_id,
    t.workspace_id,
    t.data->>'fullname'                                     as user_name,
    t.data->>'email'                                        as email,
    nullif(t.data->>'role', '')                             as role,
    staging.toggl_boolean(t.data->>'is_admin')              as is_admin,
    staging.toggl_boolean(t.data->>'is_active')             as has_joined,
    staging.toggl_boolean(t.data->>'inactive')              as is_deactivated,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__users t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__users is
    'Members of a workspace; a user of several workspaces has a row in each.';
comment on column staging.stg_toggl_track__users.user_id is 'Toggl''s id of the user, the same in all workspaces.';
comment on column staging.stg_toggl_track__users.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__users.user_name is 'The user''s full name.';
comment on column staging.stg_toggl_track__users.email is 'The user''s e-mail address.';
comment on column staging.stg_toggl_track__users.role is 'The user''s role in the workspace.';
comment on column staging.stg_toggl_track__users.is_admin is 'Whether the user administers the workspace.';
comment on column staging.stg_toggl_track__users.has_joined is 'Whether the user has accepted the invitation.';
comment on column staging.stg_toggl_track__users.is_deactivated is 'Whether the user has been shut out.';
comment on column staging.stg_toggl_track__users.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__users.synced_at is 'When the loader last wrote its row.';
