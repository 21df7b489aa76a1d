create or replace view staging.stg_toggl_track__organizations as
select
    t.source_id                                                              as organization_id,
    t.data->>'name'                                                          as organization_name,
    staging.toggl_bigint(t.data->>'pricing_plan_id')                         as pricing_plan_id,
    nullif(t.data->>'pricing_plan_name', '')                                 as pricing_plan_name,
    staging.toggl_boolean(t.data->>'pricing_plan_enterprise')                as is_enterprise,
    staging.toggl_boolean(t.data->>'is_multi_workspace_enabled')             as is_multi_workspace_enabled,
    staging.toggl_boolean(t.data->>'is_unified')                             as is_unified,
    staging.toggl_boolean(t.data->>'admin')                                  as is_admin,
    staging.toggl_boolean(t.data->>'owner')                                  as is_owner,
    staging.toggl_bigint(t.data->>'user_count')                              as user_count,
    staging.toggl_bigint(t.data->>'max_workspaces')                          as max_workspaces,
    staging.toggl_bigint(t.data->>'max_data_retention_days')                 as max_data_retention_days,
    staging.toggl_boolean(t.data->'trial_info'->>'trial')                    as is_trial,
    staging.toggl_boolean(t.data->'trial_info'->>'trial_available')          as is_trial_available,
    staging.toggl_boolean(t.data->'trial_info'->>'can_have_trial')           as can_have_trial,
    staging.toggl_bigint(t.data->'trial_info'->>'trial_plan_id')             as trial_plan_id,
    staging.toggl_bigint(t.data->'trial_info'->>'last_pricing_plan_id')      as last_pricing_plan_id,
    staging.toggl_date(t.data->'trial_info'->>'trial_end_date')              as trial_end_date,
    staging.toggl_date(t.data->'trial_info'->>'next_payment_date')           as next_payment_date,
    staging.toggl_timestamp(t.data->>'suspended_at')                         as suspended_at,
    staging.toggl_timestamp(t.data->>'created_at')                           as created_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__organizations t
where t.deleted_at is null
    -- One of which no workspace is left is left, too; one of which none was ever listed is not.
    and (
        exists (
            select from raw.toggl_track__workspaces own
            where own.data->>'organization_id' = t.source_id::text and own.deleted_at is null
        )
        or not exists (
            select from raw.toggl_track__workspaces own
            where own.data->>'organization_id' = t.source_id::text
        )
    );

comment on view staging.stg_toggl_track__organizations is
    'Organizations that the owners of the API tokens are members of.';
comment on column staging.stg_toggl_track__organizations.organization_id is 'Toggl''s id of the organization.';
comment on column staging.stg_toggl_track__organizations.organization_name is 'Name of the organization.';
comment on column staging.stg_toggl_track__organizations.pricing_plan_id is 'Toggl''s number of its plan; 0 is Free.';
comment on column staging.stg_toggl_track__organizations.pricing_plan_name is 'Name of its plan.';
comment on column staging.stg_toggl_track__organizations.is_enterprise is 'Whether its plan is Enterprise.';
comment on column staging.stg_toggl_track__organizations.is_multi_workspace_enabled is
    'Whether it may have several workspaces.';
comment on column staging.stg_toggl_track__organizations.is_unified is 'Whether its workspaces are billed together.';
comment on column staging.stg_toggl_track__organizations.is_admin is 'Whether the token''s owner administers it.';
comment on column staging.stg_toggl_track__organizations.is_owner is 'Whether the token''s owner owns it.';
comment on column staging.stg_toggl_track__organizations.user_count is 'How many members it has.';
comment on column staging.stg_toggl_track__organizations.max_workspaces is 'How many workspaces it may have.';
comment on column staging.stg_toggl_track__organizations.max_data_retention_days is
    'After how many days Toggl drops data; null for never.';
comment on column staging.stg_toggl_track__organizations.is_trial is 'Whether it is trying a plan out.';
comment on column staging.stg_toggl_track__organizations.is_trial_available is 'Whether it may try a plan out now.';
comment on column staging.stg_toggl_track__organizations.can_have_trial is 'Whether it may try a plan out at all.';
comment on column staging.stg_toggl_track__organizations.trial_plan_id is
    'Toggl''s number of the plan it is trying out.';
comment on column staging.stg_toggl_track__organizations.last_pricing_plan_id is 'Toggl''s number of its plan before.';
comment on column staging.stg_toggl_track__organizations.trial_end_date is 'Last day of the trial.';
comment on column staging.stg_toggl_track__organizations.next_payment_date is 'When the plan is to be paid next.';
comment on column staging.stg_toggl_track__organizations.suspended_at is 'When it was suspended; null where it is not.';
comment on column staging.stg_toggl_track__organizations.created_at is 'When it was created.';
comment on column staging.stg_toggl_track__organizations.modified_at is
    'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__organizations.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__organizations.synced_at is 'When the loader last wrote its row.';
