-- Of several memberships of one person in one workspace the latest whose time zone this server knows.
create or replace view raw.toggl_track__members as
select distinct on (workspace_id, user_id) workspace_id, user_id, user_name, time_zone
from (
    select
        workspace_id,
        user_id,
        workspace_user_id,
        user_name,
        case
            when timezone = any(staging.toggl_usual_time_zones()) then timezone
            when timezone in (select name from pg_catalog.pg_timezone_names) then timezone
        end as time_zone
    from staging.stg_toggl_track__workspace_users
) membership
order by workspace_id, user_id, time_zone is null, workspace_user_id desc;

comment on view raw.toggl_track__members is
    'What memberships tell of somebody in a workspace: their name and, where this server knows it, their time zone.';
