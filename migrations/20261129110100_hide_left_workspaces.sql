-- What belongs to a workspace that no account has any more is hidden, in every view, as if it were deleted, and
-- shown again when the workspace is back. That it is gone is known from the row of the workspace: the fetcher
-- says so when the last account that had it no longer lists it.

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

create or replace view staging.stg_toggl_track__workspace_users as
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
where t.deleted_at is null
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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

create or replace view staging.stg_toggl_track__people as
with everybody as materialized (
    select workspace.workspace_id, reading.fetched_at, reading.starts
    from (select distinct workspace_id from raw.toggl_track__users where deleted_at is null) workspace
    cross join lateral (
        select
            min(fetched_at) as fetched_at,
            (select piece from unnest(range_agg(starts)) piece order by piece desc limit 1) as starts
        from (
            select run_id, starts, fetched_at, first_value(run_id) over (
                order by least(upper(starts), fetched_at) desc, fetched_at desc, run_id desc) as newest_run_id
            from raw.toggl_track__claims
            where resource = 'time_entries_report' and workspace_id = workspace.workspace_id
                and user_id is null and starts is not null
        ) claim
        where run_id = newest_run_id
    ) reading
)
select
    person.workspace_id,
    person.source_id as user_id,
    person.data->>'fullname' as user_name,
    newest.fetched_at as entries_as_of,
    lower(newest.starts) as entries_from,
    upper(newest.starts) as entries_to,
    entry.last_started_at as last_entry_started_at,
    exists (
        select from raw.toggl_track__me me where me.source_id = person.source_id and me.deleted_at is null
    ) or exists (
        select from raw.toggl_track__claims claim
        where claim.resource = 'time_entries' and claim.workspace_id = 0 and claim.user_id = person.source_id
    ) as is_token_owner
from raw.toggl_track__users person
left join everybody on everybody.workspace_id = person.workspace_id
-- Of several readings the one that knows most of the present, not the newest one: a report on an old year,
-- fetched today, knows nothing of this week. The person's own are those of the token's owner, which are of
-- all workspaces, and of a report that is no admin's.
left join lateral (
    select fetched_at, starts
    from (
        select everybody.fetched_at, everybody.starts
        union all
        select
            min(fetched_at),
            -- A run whose batches have not all been loaded may leave a gap: what lies after it counts.
            (select piece from unnest(range_agg(starts)) piece order by piece desc limit 1)
        from (
            select resource, run_id, starts, fetched_at, first_value(run_id) over (
                partition by resource
                order by least(upper(starts), fetched_at) desc, fetched_at desc, run_id desc) as newest_run_id
            from raw.toggl_track__claims
            where user_id = person.source_id and starts is not null
                and (resource, workspace_id) in (
                    ('time_entries', 0), ('time_entries_report', person.workspace_id))
        ) claim
        where run_id = newest_run_id
        group by resource
    ) read
    where fetched_at is not null
    order by least(upper(starts), fetched_at) desc, fetched_at desc
    limit 1
) newest on true
-- Who does not ask for it does not pay for it.
left join (
    select workspace_id, user_id, max(started_at) as last_started_at
    from (
        select workspace_id, user_id, started_at from raw.toggl_track__time_entries where deleted_at is null
        union all
        select workspace_id, user_id, started_at from raw.toggl_track__time_entries_report where deleted_at is null
    ) live
    group by workspace_id, user_id
) entry on entry.workspace_id = person.workspace_id and entry.user_id = person.source_id
where person.deleted_at is null
    and person.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

create or replace view staging.stg_toggl_track__coverage as
with reading as (
    -- What lies after the reading it cannot know, however far its window reached.
    select
        resource,
        workspace_id,
        user_id,
        lower(starts) as covered_from,
        least(upper(starts), fetched_at) as covered_to,
        fetched_at
    from raw.toggl_track__claims
    where starts is not null and lower(starts) < fetched_at
),
-- A range begins where nothing before it reaches up to it. One look at each reading, in their order.
beginning as (
    select
        reading.*,
        covered_from <= max(covered_to) over (
            partition by resource, workspace_id, user_id
            order by covered_from, covered_to
            rows between unbounded preceding and 1 preceding
        ) is not true as is_first
    from reading
),
numbered as (
    select
        beginning.*,
        count(*) filter (where is_first) over (
            partition by resource, workspace_id, user_id
            order by covered_from, covered_to
            rows between unbounded preceding and current row
        ) as number
    from beginning
),
covered as (
    select
        resource,
        workspace_id,
        user_id,
        min(covered_from) as covered_from,
        max(covered_to) as covered_to,
        min(fetched_at) as covered_as_of,
        max(fetched_at) as covered_newest_at
    from numbered
    group by resource, workspace_id, user_id, number
    union all
    -- A list of which a part has not arrived yet covers nothing.
    select
        resource,
        workspace_id,
        null::bigint,
        null::timestamptz,
        null::timestamptz,
        min(fetched_at),
        max(fetched_at)
    from raw.toggl_track__claims
    where ids is not null
    group by resource, workspace_id
    having range_agg(ids) = int8multirange(int8range(null, null))
)
select
    resource,
    workspace_id,
    user_id,
    coalesce(
        (
            select person.data->>'fullname'
            from raw.toggl_track__users person
            where person.source_id = covered.user_id
            order by person.workspace_id = covered.workspace_id desc, person.deleted_at is null desc, person.fetched_at desc
            limit 1
        ),
        (select me.data->>'fullname' from raw.toggl_track__me me where me.source_id = covered.user_id)
    ) as user_name,
    covered_from,
    covered_to,
    covered_as_of,
    covered_newest_at
from covered
where workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

create or replace view staging.stg_toggl_track__freshness as
with recursive known (resource, workspace_id) as (
    (
        select resource, workspace_id from raw.toggl_track__loads
        order by resource, workspace_id
        limit 1
    )
    union all
    select next.resource, next.workspace_id
    from known
    cross join lateral (
        select load.resource, load.workspace_id from raw.toggl_track__loads load
        where (load.resource, load.workspace_id) > (known.resource, known.workspace_id)
        order by load.resource, load.workspace_id
        limit 1
    ) next
),
loaded as (
    select
        known.resource,
        known.workspace_id,
        (
            select max(load.fetched_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
        ) as last_fetched_at,
        (
            select max(load.loaded_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
        ) as last_loaded_at,
        (
            select max(load.loaded_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
                and (load.written > 0 or load.deleted > 0)
        ) as last_changed_at
    from known
    where not exists (
        select from raw.toggl_track__forgotten forgotten where forgotten.workspace_id = known.workspace_id
    )
    and known.workspace_id <> all (
        array(
            select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
            where left_workspace.deleted_at is not null
        )
    )
)
select
    loaded.resource,
    loaded.workspace_id,
    loaded.last_fetched_at,
    loaded.last_loaded_at,
    loaded.last_changed_at,
    covered.covered_as_of as complete_at,
    covered.covered_from as complete_from,
    covered.covered_to as complete_to
from loaded
left join (
    select distinct on (resource, workspace_id)
        resource,
        workspace_id,
        covered_as_of,
        covered_from,
        covered_to
    from staging.stg_toggl_track__coverage
    order by resource, workspace_id, covered_to desc, covered_from, covered_as_of desc
) covered on covered.resource = loaded.resource and covered.workspace_id = loaded.workspace_id;

comment on view staging.stg_toggl_track__workspaces is
    'Workspaces that the owners of the API tokens are members of. One that the last of them has left is hidden, and with it everything that belongs to it, in every view; it is shown again when one of them is back. A suspended one stays, with what it held when it could last be read.';
comment on column staging.stg_toggl_track__workspaces.suspended_at is
    'When it was suspended: until that ends Toggl tells nothing of what belongs to it, and freshness and coverage say how old that is. Null where it is not.';
comment on view staging.stg_toggl_track__freshness is
    'How current each resource is in each workspace: one row for all that was ever loaded. One whose last_fetched_at stays behind the others'' can no longer be read, as of a workspace that is suspended; workspaces that were left have no rows.';
