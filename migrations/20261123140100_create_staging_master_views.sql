-- Typed views of what belongs to a workspace, and the comments that all views of masters share.

create view staging.stg_toggl_track__projects as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__projects is 'Projects, archived ones too.';
comment on column staging.stg_toggl_track__projects.status is 'upcoming, active, ended, archived or deleted.';
comment on column staging.stg_toggl_track__projects.is_active is 'False for archived ones.';
comment on column staging.stg_toggl_track__projects.is_billable is 'Whether its entries are billable unless they say otherwise.';
comment on column staging.stg_toggl_track__projects.is_private is 'Whether only its own members see it.';
comment on column staging.stg_toggl_track__projects.is_shared is 'Whether it is shared with others.';
comment on column staging.stg_toggl_track__projects.is_pinned is 'Whether the token''s owner has pinned it.';
comment on column staging.stg_toggl_track__projects.is_template is 'Whether others are made from it.';
comment on column staging.stg_toggl_track__projects.template_id is 'The template it was made from.';
comment on column staging.stg_toggl_track__projects.is_recurring is 'Whether its estimate begins anew with each period.';
comment on column staging.stg_toggl_track__projects.current_period_start_date is 'First day of the current period of a recurring project.';
comment on column staging.stg_toggl_track__projects.current_period_end_date is 'Last day of the current period of a recurring project.';
comment on column staging.stg_toggl_track__projects.can_track_time is 'Whether the token''s owner may track time on it.';
comment on column staging.stg_toggl_track__projects.has_auto_estimates is 'Whether its estimate is the sum of its tasks'' estimates.';
comment on column staging.stg_toggl_track__projects.actual_seconds is 'Time tracked on it, as Toggl reckons it now and then.';
comment on column staging.stg_toggl_track__projects.task_count is 'How many tasks it has.';
comment on column staging.stg_toggl_track__projects.currency is 'Currency of its amounts.';
comment on column staging.stg_toggl_track__projects.fixed_fee is 'Price of the whole project, in units of its currency.';
comment on column staging.stg_toggl_track__projects.color is 'As #rrggbb.';
comment on column staging.stg_toggl_track__projects.start_date is 'Its first day.';
comment on column staging.stg_toggl_track__projects.end_date is 'Its last day.';

create view staging.stg_toggl_track__clients as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__clients is 'Clients, archived ones too.';
comment on column staging.stg_toggl_track__clients.is_archived is 'Whether it has been archived.';
comment on column staging.stg_toggl_track__clients.notes is 'What was noted about the client.';

create view staging.stg_toggl_track__tags as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__tags is 'Tags.';

create view staging.stg_toggl_track__users as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__users is 'Members of a workspace; a user of several workspaces has a row in each.';

create view staging.stg_toggl_track__groups as
select
    t.source_id                                             as group_id,
    t.workspace_id,
    t.data->>'name'                                         as group_name,
    staging.toggl_boolean(t.data->>'has_users')             as has_users,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__groups t
where t.deleted_at is null;

comment on view staging.stg_toggl_track__groups is 'Groups of users.';
comment on column staging.stg_toggl_track__groups.has_users is 'Whether anybody is in it.';

create view staging.stg_toggl_track__tasks as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__tasks is 'Tasks of projects, done ones too.';
comment on column staging.stg_toggl_track__tasks.user_id is 'The user it is given to; null for everybody.';
comment on column staging.stg_toggl_track__tasks.is_active is 'False for those that are done.';
comment on column staging.stg_toggl_track__tasks.is_recurring is 'Whether it comes again with each period of its project.';
comment on column staging.stg_toggl_track__tasks.tracked_seconds is
    'Time tracked on it, in seconds; what Toggl sends under that name are milliseconds.';

create view staging.stg_toggl_track__project_users as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__project_users is 'Who is a member of which project.';
comment on column staging.stg_toggl_track__project_users.project_user_id is 'Toggl''s id of the membership.';
comment on column staging.stg_toggl_track__project_users.group_id is 'The group through which the user is a member, if any.';
comment on column staging.stg_toggl_track__project_users.is_manager is 'Whether the user manages the project.';

create view staging.stg_toggl_track__workspace_users as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__workspace_users is
    'Memberships of workspaces, with what the view of users does not have: rights, rates and groups.';
comment on column staging.stg_toggl_track__workspace_users.workspace_user_id is 'Toggl''s id of the membership; entries know the user_id alone.';
comment on column staging.stg_toggl_track__workspace_users.role_id is 'Toggl''s number of the role.';
comment on column staging.stg_toggl_track__workspace_users.is_workspace_admin is 'Whether the user administers the workspace.';
comment on column staging.stg_toggl_track__workspace_users.is_organization_admin is 'Whether the user administers the organization.';
comment on column staging.stg_toggl_track__workspace_users.is_direct is 'False for those who are members through a group alone.';
comment on column staging.stg_toggl_track__workspace_users.can_edit_billable_rates is 'Whether the user sees and changes hourly rates.';
comment on column staging.stg_toggl_track__workspace_users.can_edit_labor_costs is 'Whether the user sees and changes labour costs.';
comment on column staging.stg_toggl_track__workspace_users.group_ids is 'The groups that the user is in; empty where none.';
comment on column staging.stg_toggl_track__workspace_users.avatar_file_name is 'Their picture.';

-- A column of one name means the same in every view, so it is explained once.
do $$
declare
    masters constant text[] := array[
        'me', 'workspaces', 'organizations', 'projects', 'clients', 'tags', 'users', 'groups', 'tasks',
        'project_users', 'workspace_users'];
    meanings constant jsonb := $meanings${
        "workspace_id": "Toggl's id of the workspace.",
        "organization_id": "Toggl's id of the organization.",
        "project_id": "Toggl's id of the project.",
        "client_id": "Toggl's id of the client.",
        "tag_id": "Toggl's id of the tag.",
        "user_id": "Toggl's id of the user, the same in all workspaces.",
        "group_id": "Toggl's id of the group.",
        "task_id": "Toggl's id of the task.",
        "creator_id": "The user who created it.",
        "workspace_name": "Name of the workspace.",
        "organization_name": "Name of the organization.",
        "project_name": "Name of the project.",
        "client_name": "Name of the client.",
        "tag_name": "Name of the tag.",
        "user_name": "The user's full name.",
        "group_name": "Name of the group.",
        "task_name": "Name of the task.",
        "email": "The user's e-mail address.",
        "timezone": "The user's time zone, by its name in the IANA database.",
        "role": "The user's role in the workspace.",
        "is_admin": "Whether the user administers the workspace.",
        "has_joined": "Whether the user has accepted the invitation.",
        "is_deactivated": "Whether the user has been shut out.",
        "is_2fa_enabled": "Whether the user logs in with a second factor.",
        "hourly_rate": "Price of an hour, in units of the currency (not in cents).",
        "labor_cost": "What an hour of the user costs, in units of the currency (not in cents).",
        "rate_updated_at": "When the hourly rate was last changed.",
        "labor_cost_updated_at": "When the labour cost was last changed.",
        "estimated_seconds": "Time it is expected to take.",
        "working_hours_seconds": "Working time that is expected of a user, as set in Toggl.",
        "max_data_retention_days": "After how many days Toggl drops data; null for never.",
        "external_reference": "Its id in a system of one's own, as it was entered in Toggl.",
        "integration_provider": "System that it is linked with: asana, jira or salesforce.",
        "integration_external_type": "What it is called in that system.",
        "integration_external_id": "Its id in that system.",
        "suspended_at": "When it was suspended; null where it is not.",
        "created_at": "When it was created.",
        "modified_at": "When it was last changed, by Toggl's account.",
        "fetched_at": "When Toggl was asked for this form of it; it may have been seen unchanged since.",
        "synced_at": "When the loader last wrote its row."
    }$meanings$;
    target record;
begin
    for target in
        select a.attrelid::regclass as view_name, a.attname as column_name, meanings->>a.attname as meaning
        from unnest(masters) as master
        join pg_attribute a on a.attrelid = format('staging.stg_toggl_track__%s', master)::regclass
        where meanings ? a.attname and col_description(a.attrelid, a.attnum) is null
    loop
        execute format('comment on column %s.%I is %L', target.view_name, target.column_name, target.meaning);
    end loop;
end $$;
