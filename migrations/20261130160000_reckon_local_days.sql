-- What the views of answers reckon days and weeks with: in whose time zone, and where a day begins in it.

-- Looking through all zones of the server takes some forty milliseconds, once a query: too much where everybody
-- lives in one of these, which every Postgres knows.
create function staging.toggl_usual_time_zones() returns text[]
language sql immutable parallel safe
return '{UTC,Africa/Cairo,Africa/Casablanca,Africa/Johannesburg,Africa/Lagos,Africa/Nairobi,Africa/Tunis,
    America/Anchorage,America/Argentina/Buenos_Aires,America/Bogota,America/Caracas,America/Chicago,
    America/Costa_Rica,America/Denver,America/Edmonton,America/Guatemala,America/Halifax,America/Havana,
    America/Lima,America/Los_Angeles,America/Mexico_City,America/Montevideo,America/New_York,America/Panama,
    America/Phoenix,America/Puerto_Rico,America/Regina,America/Santiago,America/Sao_Paulo,America/St_Johns,
    America/Toronto,America/Vancouver,America/Winnipeg,Asia/Almaty,Asia/Amman,Asia/Baghdad,Asia/Baku,
    Asia/Bangkok,Asia/Beirut,Asia/Colombo,Asia/Damascus,Asia/Dhaka,Asia/Dubai,Asia/Hong_Kong,Asia/Jakarta,
    Asia/Jerusalem,Asia/Karachi,Asia/Kathmandu,Asia/Kolkata,Asia/Kuala_Lumpur,Asia/Kuwait,Asia/Manila,
    Asia/Novosibirsk,Asia/Riyadh,Asia/Seoul,Asia/Shanghai,Asia/Singapore,Asia/Taipei,Asia/Tashkent,
    Asia/Tbilisi,Asia/Tehran,Asia/Tokyo,Asia/Vladivostok,Asia/Yekaterinburg,Asia/Yerevan,Atlantic/Azores,
    Atlantic/Canary,Atlantic/Reykjavik,Australia/Adelaide,Australia/Brisbane,Australia/Darwin,Australia/Hobart,
    Australia/Melbourne,Australia/Perth,Australia/Sydney,Europe/Amsterdam,Europe/Athens,Europe/Belgrade,
    Europe/Berlin,Europe/Bratislava,Europe/Brussels,Europe/Bucharest,Europe/Budapest,Europe/Chisinau,
    Europe/Copenhagen,Europe/Dublin,Europe/Helsinki,Europe/Istanbul,Europe/Kiev,Europe/Lisbon,Europe/Ljubljana,
    Europe/London,Europe/Luxembourg,Europe/Madrid,Europe/Malta,Europe/Minsk,Europe/Moscow,Europe/Oslo,
    Europe/Paris,Europe/Prague,Europe/Riga,Europe/Rome,Europe/Sarajevo,Europe/Sofia,Europe/Stockholm,
    Europe/Tallinn,Europe/Vienna,Europe/Vilnius,Europe/Warsaw,Europe/Zagreb,Europe/Zurich,Pacific/Auckland,
    Pacific/Fiji,Pacific/Honolulu}'::text[];
comment on function staging.toggl_usual_time_zones() is
    'Time zones that need no looking up. Those that are missing here work as well.';

-- Without an exception block, for a query that runs in parallel may have none.
create function staging.toggl_chosen_time_zone() returns text
language plpgsql stable parallel safe as $function$
declare
    chosen text := nullif(trim(current_setting('toggl_track.time_zone', true)), '');
    known  text;
begin
    if chosen is null or chosen = any(staging.toggl_usual_time_zones()) then
        return chosen;
    end if;
    select name into known from pg_catalog.pg_timezone_names where lower(name) = lower(chosen) limit 1;
    if known is null then
        raise invalid_parameter_value using
            message = format('the setting toggl_track.time_zone is "%s", which is no time zone of this server', chosen),
            hint = 'Name one as the IANA database does: set toggl_track.time_zone = ''Europe/Berlin''; the view '
                   'pg_timezone_names has all. Without it, each person''s own zone counts: reset toggl_track.time_zone;';
    end if;
    return known;
end $function$;
comment on function staging.toggl_chosen_time_zone() is
    'The time zone that the setting toggl_track.time_zone names, for the session, a role or a database; null where there is none. One that the server does not know is an error: any other zone would give other hours.';

create function staging.toggl_day_start(day date, zone text) returns timestamptz
language sql stable parallel safe
return (
    with midnight as (select day::timestamp at time zone zone as at),
    back as (
        -- By how much the clock was put back in the three hours before.
        select at, interval '3 hours' - ((at at time zone zone) - ((at - interval '3 hours') at time zone zone)) as by
        from midnight
    )
    select case when by > interval '0' and (at - by) at time zone zone = day::timestamp then at - by else at end
    from back
);
comment on function staging.toggl_day_start(date, text) is
    'The first moment of a local day: midnight; where clocks are put forward over it, the moment of that; of two midnights, as where clocks are put back from one to zero, the first.';

create function staging.toggl_week(day date, first_day bigint) returns date
language sql immutable parallel safe
return day - (extract(dow from day)::integer - first_day::integer + 7) % 7;
comment on function staging.toggl_week(date, bigint) is
    'The first day of the week in which a day lies; weeks begin on first_day, where 0 is Sunday and 6 Saturday.';
