create or replace view staging.stg_toggl_track__me as
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
comment on column staging.stg_toggl_track__me.user_id is 'Toggl''s id of the user, the same in all workspaces.';
comment on column staging.stg_toggl_track__me.user_name is 'The user''s full name.';
comment on column staging.stg_toggl_track__me.email is 'The user''s e-mail address.';
comment on column staging.stg_toggl_track__me.timezone is 'The user''s time zone, by its name in the IANA database.';
comment on column staging.stg_toggl_track__me.default_workspace_id is
    'The workspace that is read unless another is named.';
comment on column staging.stg_toggl_track__me.beginning_of_week is 'First day of their week: 0 is Sunday, 6 Saturday.';
comment on column staging.stg_toggl_track__me.toggl_accounts_id is 'Id at Toggl Accounts, a text.';
comment on column staging.stg_toggl_track__me.openid_email is
    'E-mail address of the account they log in with, where that is another''s.';
comment on column staging.stg_toggl_track__me.is_openid_enabled is 'Whether they may log in with an account elsewhere.';
comment on column staging.stg_toggl_track__me.has_password is 'Whether they may log in with a password.';
comment on column staging.stg_toggl_track__me.is_2fa_enabled is 'Whether the user logs in with a second factor.';
comment on column staging.stg_toggl_track__me.oauth_providers is
    'Whose accounts they may log in with; empty where none.';
comment on column staging.stg_toggl_track__me.country_id is 'Toggl''s number of their country.';
comment on column staging.stg_toggl_track__me.image_url is 'Their picture.';
comment on column staging.stg_toggl_track__me.created_at is 'When it was created.';
comment on column staging.stg_toggl_track__me.updated_at is 'When the profile was changed.';
comment on column staging.stg_toggl_track__me.authorization_updated_at is
    'When they last logged in anew or changed how.';
comment on column staging.stg_toggl_track__me.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__me.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__me.synced_at is 'When the loader last wrote its row.';
