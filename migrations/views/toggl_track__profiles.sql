create or replace view raw.toggl_track__profiles as
select distinct on (user_id)
    user_id,
    user_name,
    case
        when timezone = any(staging.toggl_usual_time_zones()) then timezone
        when timezone in (select name from pg_catalog.pg_timezone_names) then timezone
    end as time_zone,
    case when beginning_of_week between 0 and 6 then beginning_of_week end as beginning_of_week
from staging.stg_toggl_track__me
order by user_id;

comment on view raw.toggl_track__profiles is
    'What profiles tell of their owners: name, and where they make sense the time zone and the first day of the week.';
