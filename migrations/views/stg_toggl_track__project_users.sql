create or replace view staging.stg_toggl_track__project_users as
select
    t.source_id                                                      as project_user_id,
    t.workspace_id,
    coalesce(staging.toggl_bigint(t.data->>'project_id'), staging.toggl_bigint(t.data->>'pid')) as project_id,
    coalesce(staging.toggl_bigint(t.data->>'user_id'), staging.toggl_bigint(t.data->>'uid'))    as user_id,
    coalesce(staging.toggl_bigint(t.data->>'group_id'), staging.toggl_bigint(t.data->>'gid'))   as group_id,
    staging.toggl_boolean(t.data->>'manager')                        as is_manager,
    staging.toggl_numeric(t.data->>'rate')                           as hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')            as rate_updated_at,
    staging.toggl_numeric(t.data->>'labor_cost')                     as labor_cost,
    staging.toggl_timestamp(t.data->>'labor_cost_last_updated')      as labor_cost_updated_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__project_users t
where t.deleted_at is null
    -- Of an account with one workspace Postgres would expect no row, and join row by row; with coalesce half of them.
    and coalesce(t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    )), false);

comment on view staging.stg_toggl_track__project_users is 'Who is a member of which project.';
comment on column staging.stg_toggl_track__project_users.project_user_id is 'Toggl''s id of the membership.';
comment on column staging.stg_toggl_track__project_users.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__project_users.project_id is 'Toggl''s id of the project.';
comment on column staging.stg_toggl_track__project_users.user_id is
    'Toggl''s id of the user, the same in all workspaces.';
comment on column staging.stg_toggl_track__project_users.group_id is
    'The group through which the user is a member, if any.';
comment on column staging.stg_toggl_track__project_users.is_manager is 'Whether the user manages the project.';
comment on column staging.stg_toggl_track__project_users.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__project_users.rate_updated_at is 'When the hourly rate was last changed.';
comment on column staging.stg_toggl_track__project_users.labor_cost is
    'What an hour of the user costs, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__project_users.labor_cost_updated_at is
    'When the labour cost was last changed.';
comment on column staging.stg_toggl_track__project_users.modified_at is
    'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__project_users.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__project_users.synced_at is 'When the loader last wrote its row.';
