-- Typed views over the raw tables: columns instead of JSON, deleted rows hidden.
-- The views read with the rights of their owner; who queries them needs usage on the schema staging
-- and select on the views, and nothing on the schema raw.

-- Postgres' own words for a missing right do not say what to do about it.
do $$
begin
    if to_regnamespace('staging') is null then
        if not has_database_privilege(current_database(), 'create') then
            raise insufficient_privilege using message = format(
                'the role %1$I may not create the schema "staging"; let the database''s owner run: grant create on database %2$I to %1$I; or: create schema staging authorization %1$I;',
                current_user, current_database());
        end if;
        create schema staging;
        comment on schema staging is 'Typed views over the raw tables.';
    elsif not (has_schema_privilege('staging', 'create') and has_schema_privilege('staging', 'usage')) then
        raise insufficient_privilege using message = format(
            'the role %1$I may not create views in the schema "staging"; let its owner run: grant usage, create on schema staging to %1$I;',
            current_user);
    end if;
end $$;

-- Casts that give null where a plain one would raise an error: one odd value must not cost a view all
-- its rows. They are plain SQL, so that the planner puts them in line and queries stay parallel; digits
-- are spelled [0-9], for \d also matches those of other scripts.

create function staging.toggl_bigint(value text) returns bigint
language sql immutable parallel safe
return case
    when ltrim(value, '0123456789') = '' and length(value) between 1 and 15 then value::bigint
    when value ~ '^-?[0-9]{1,15}(?:\.[0-9]+)?$' and length(value) < 300 then round(value::numeric)::bigint
end;
comment on function staging.toggl_bigint(text) is
    'A whole number of up to 15 digits, so that no sum of ours can overflow; a fraction is rounded.';

create function staging.toggl_numeric(value text) returns numeric
language sql immutable parallel safe
return case
    when value ~ '^-?[0-9]{1,15}(?:\.[0-9]+)?$' and length(value) < 300 then value::numeric
end;
comment on function staging.toggl_numeric(text) is 'A number below 10^15.';

create function staging.toggl_boolean(value text) returns boolean
language sql immutable parallel safe
return case value when 'true' then true when 'false' then false end;
comment on function staging.toggl_boolean(text) is 'true or false.';

create function staging.toggl_is_date(value text) returns boolean
language sql immutable parallel safe
return value ~ '^[1-9][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)$'
    or value ~ '^(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29$';
comment on function staging.toggl_is_date(text) is
    'Whether it is a day of the calendar, from the year 1000 to 9999, written YYYY-MM-DD.';

create function staging.toggl_date(value text) returns date
language sql stable parallel safe
return case
    when staging.toggl_is_date(left(value, 10)) and (length(value) = 10 or substr(value, 11, 1) in ('T', 't', ' '))
    then left(value, 10)::date
end;
comment on function staging.toggl_date(text) is
    'A day written YYYY-MM-DD; of a time, the day as it is written there.';

-- A single expression for the whole of it would take twice as long.
create function staging.toggl_timestamp(value text) returns timestamptz
language sql stable parallel safe
return case
    when value like '____-__-__ __:__:__%' or value like '____-__-__T__:__:__%' or value like '____-__-__t__:__:__%'
    then case
        when staging.toggl_is_date(left(value, 10))
            and substr(value, 12, 8) ~ '^(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)$'
            and (substr(value, 20) in ('Z', '+00:00')
                or substr(value, 20) ~ '^(?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:0[0-9]|1[0-5]):[0-5][0-9])$')
        then value::timestamptz
    end
end;
comment on function staging.toggl_timestamp(text) is
    'A time as RFC 3339 has it, with Z or an offset; null without one, for it could be anybody''s.';

create function staging.toggl_list(value jsonb) returns jsonb
language sql immutable parallel safe
return case when jsonb_typeof(value) = 'array' then value else '[]' end;
comment on function staging.toggl_list(jsonb) is 'A JSON array; an empty one in place of anything else.';

-- These two are not put in line, which costs some microseconds a row: too slow for time entries.

create function staging.toggl_texts(value jsonb) returns text[]
language sql immutable parallel safe
return array_remove(array(
    select element from jsonb_array_elements_text(staging.toggl_list(value)) as elements(element)
), null);
comment on function staging.toggl_texts(jsonb) is
    'The texts of a JSON array in their order, without its nulls; empty where it is no array.';

create function staging.toggl_bigints(value jsonb) returns bigint[]
language sql immutable parallel safe
return array_remove(array(
    select staging.toggl_bigint(element) from jsonb_array_elements_text(staging.toggl_list(value)) as elements(element)
), null);
comment on function staging.toggl_bigints(jsonb) is
    'The whole numbers of a JSON array in their order; empty where it is no array.';

create view staging.stg_toggl_track__me as
select
    t.source_id                                                   as user_id,
    t.data->>'fullname'                                           as user_name,
    t.data->>'email'                                              as email,
    nullif(t.data->>'timezone', '')                               as timezone,
    staging.toggl_bigint(t.data->>'default_workspace_id')         as default_workspace_id,
    staging.toggl_bigint(t.data->>'beginning_of_week')            as beginning_of_week,
    nullif(t.data->>'toggl_accounts_id', '')                      as toggl_accounts_id,
    nullif(t.data->>'openid_email', '')                           as openid_email,
    staging.toggl_boolean(t.data->>'openid_enabled')              as is_openid_enabled,
    staging.toggl_boolean(t.data->>'has_password')                as has_password,
    staging.toggl_boolean(t.data->>'2fa_enabled')                 as is_2fa_enabled,
    staging.toggl_texts(t.data->'oauth_providers')                as oauth_providers,
    staging.toggl_bigint(t.data->>'country_id')                   as country_id,
    nullif(t.data->>'image_url', '')                              as image_url,
    staging.toggl_timestamp(t.data->>'created_at')                as created_at,
    staging.toggl_timestamp(t.data->>'updated_at')                as updated_at,
    staging.toggl_timestamp(t.data->>'authorization_updated_at')  as authorization_updated_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__me t
where t.deleted_at is null;

comment on view staging.stg_toggl_track__me is 'Owners of the API tokens, one row each.';
comment on column staging.stg_toggl_track__me.default_workspace_id is 'The workspace that is read unless another is named.';
comment on column staging.stg_toggl_track__me.beginning_of_week is 'First day of their week: 0 is Sunday, 6 Saturday.';
comment on column staging.stg_toggl_track__me.toggl_accounts_id is 'Id at Toggl Accounts, a text.';
comment on column staging.stg_toggl_track__me.openid_email is 'E-mail address of the account they log in with, where that is another''s.';
comment on column staging.stg_toggl_track__me.is_openid_enabled is 'Whether they may log in with an account elsewhere.';
comment on column staging.stg_toggl_track__me.has_password is 'Whether they may log in with a password.';
comment on column staging.stg_toggl_track__me.oauth_providers is 'Whose accounts they may log in with; empty where none.';
comment on column staging.stg_toggl_track__me.country_id is 'Toggl''s number of their country.';
comment on column staging.stg_toggl_track__me.image_url is 'Their picture.';
comment on column staging.stg_toggl_track__me.updated_at is 'When the profile was changed.';
comment on column staging.stg_toggl_track__me.authorization_updated_at is 'When they last logged in anew or changed how.';

create view staging.stg_toggl_track__workspaces as
select
    t.source_id                                                            as workspace_id,
    staging.toggl_bigint(t.data->>'organization_id')                       as organization_id,
    t.data->>'name'                                                        as workspace_name,
    nullif(t.data->>'role', '')                                            as role,
    staging.toggl_boolean(t.data->>'admin')                                as is_admin,
    staging.toggl_boolean(t.data->>'premium')                              as is_premium,
    staging.toggl_boolean(t.data->>'business_ws')                          as is_business,
    nullif(t.data->>'default_currency', '')                                as default_currency,
    staging.toggl_numeric(t.data->>'default_hourly_rate')                  as default_hourly_rate,
    staging.toggl_timestamp(t.data->>'rate_last_updated')                  as rate_updated_at,
    staging.toggl_bigint(t.data->>'rounding')                              as rounding,
    staging.toggl_bigint(t.data->>'rounding_minutes') * 60                 as rounding_seconds,
    staging.toggl_bigint(t.data->>'working_hours_in_minutes') * 60         as working_hours_seconds,
    staging.toggl_boolean(t.data->>'only_admins_may_create_projects')      as only_admins_may_create_projects,
    staging.toggl_boolean(t.data->>'only_admins_may_create_tags')          as only_admins_may_create_tags,
    staging.toggl_boolean(t.data->>'only_admins_see_billable_rates')       as only_admins_see_billable_rates,
    staging.toggl_boolean(t.data->>'only_admins_see_team_dashboard')       as only_admins_see_team_dashboard,
    staging.toggl_boolean(t.data->>'limit_public_project_data')            as is_public_project_data_limited,
    staging.toggl_boolean(t.data->>'projects_billable_by_default')         as is_billable_by_default,
    staging.toggl_boolean(t.data->>'projects_private_by_default')          as is_private_by_default,
    staging.toggl_boolean(t.data->>'projects_enforce_billable')            as is_billable_enforced,
    staging.toggl_boolean(t.data->>'reports_collapse')                     as is_reports_collapsed,
    staging.toggl_boolean(t.data->>'hide_start_end_times')                 as is_start_stop_hidden,
    staging.toggl_boolean(t.data->>'ical_enabled')                         as is_ical_enabled,
    nullif(t.data->>'logo_url', '')                                        as logo_url,
    staging.toggl_bigint(t.data->>'max_data_retention_days')               as max_data_retention_days,
    staging.toggl_timestamp(t.data->>'suspended_at')                       as suspended_at,
    staging.toggl_timestamp(t.data->>'last_modified')                      as last_modified_at,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__workspaces t
where t.deleted_at is null;

comment on view staging.stg_toggl_track__workspaces is 'Workspaces that the owners of the API tokens are members of.';
comment on column staging.stg_toggl_track__workspaces.role is 'Role of the token''s owner in it.';
comment on column staging.stg_toggl_track__workspaces.is_admin is 'Whether the token''s owner administers it.';
comment on column staging.stg_toggl_track__workspaces.is_premium is 'Whether its plan is Starter or better.';
comment on column staging.stg_toggl_track__workspaces.is_business is 'Whether its plan is Premium or better.';
comment on column staging.stg_toggl_track__workspaces.default_currency is 'Currency of amounts for which no other is said.';
comment on column staging.stg_toggl_track__workspaces.default_hourly_rate is 'Price of an hour for which no other is said, in units of its currency.';
comment on column staging.stg_toggl_track__workspaces.rounding is 'How reports round durations: -1 down, 0 to the nearest, 1 up.';
comment on column staging.stg_toggl_track__workspaces.rounding_seconds is 'To a multiple of how much reports round; 0 for not at all.';
comment on column staging.stg_toggl_track__workspaces.only_admins_may_create_projects is 'Whether only administrators may create projects.';
comment on column staging.stg_toggl_track__workspaces.only_admins_may_create_tags is 'Whether only administrators may create tags.';
comment on column staging.stg_toggl_track__workspaces.only_admins_see_billable_rates is 'Whether only administrators see hourly rates.';
comment on column staging.stg_toggl_track__workspaces.only_admins_see_team_dashboard is 'Whether only administrators see the team''s dashboard.';
comment on column staging.stg_toggl_track__workspaces.is_public_project_data_limited is 'Whether members see less of others'' public projects.';
comment on column staging.stg_toggl_track__workspaces.is_billable_by_default is 'Whether new projects are billable.';
comment on column staging.stg_toggl_track__workspaces.is_private_by_default is 'Whether new projects are private.';
comment on column staging.stg_toggl_track__workspaces.is_billable_enforced is 'Whether entries have to be as billable as their project.';
comment on column staging.stg_toggl_track__workspaces.is_reports_collapsed is 'Whether reports come collapsed.';
comment on column staging.stg_toggl_track__workspaces.is_start_stop_hidden is 'Whether starts and stops of entries are not shown.';
comment on column staging.stg_toggl_track__workspaces.is_ical_enabled is 'Whether entries can be subscribed to as a calendar.';
comment on column staging.stg_toggl_track__workspaces.logo_url is 'Its logo.';
comment on column staging.stg_toggl_track__workspaces.last_modified_at is 'When something in it last changed, by Toggl''s account.';

create view staging.stg_toggl_track__organizations as
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
where t.deleted_at is null;

comment on view staging.stg_toggl_track__organizations is 'Organizations that the owners of the API tokens are members of.';
comment on column staging.stg_toggl_track__organizations.pricing_plan_id is 'Toggl''s number of its plan; 0 is Free.';
comment on column staging.stg_toggl_track__organizations.pricing_plan_name is 'Name of its plan.';
comment on column staging.stg_toggl_track__organizations.is_enterprise is 'Whether its plan is Enterprise.';
comment on column staging.stg_toggl_track__organizations.is_multi_workspace_enabled is 'Whether it may have several workspaces.';
comment on column staging.stg_toggl_track__organizations.is_unified is 'Whether its workspaces are billed together.';
comment on column staging.stg_toggl_track__organizations.is_admin is 'Whether the token''s owner administers it.';
comment on column staging.stg_toggl_track__organizations.is_owner is 'Whether the token''s owner owns it.';
comment on column staging.stg_toggl_track__organizations.user_count is 'How many members it has.';
comment on column staging.stg_toggl_track__organizations.max_workspaces is 'How many workspaces it may have.';
comment on column staging.stg_toggl_track__organizations.is_trial is 'Whether it is trying a plan out.';
comment on column staging.stg_toggl_track__organizations.is_trial_available is 'Whether it may try a plan out now.';
comment on column staging.stg_toggl_track__organizations.can_have_trial is 'Whether it may try a plan out at all.';
comment on column staging.stg_toggl_track__organizations.trial_plan_id is 'Toggl''s number of the plan it is trying out.';
comment on column staging.stg_toggl_track__organizations.last_pricing_plan_id is 'Toggl''s number of its plan before.';
comment on column staging.stg_toggl_track__organizations.trial_end_date is 'Last day of the trial.';
comment on column staging.stg_toggl_track__organizations.next_payment_date is 'When the plan is to be paid next.';
