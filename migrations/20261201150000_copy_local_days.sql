-- Whoever asked for a day or a month had every entry divided at midnight first. Now the copy knows on which local days
-- an entry lies, with indexes on them. That depends on whose entry it is: the time zone of each person in which the copy
-- was reckoned is kept. Until a loader has reckoned anew, the entries of somebody who has moved, which is whose time zone
-- is another one now, are divided as before.

set local statement_timeout = 0;

-- In the order in which loaders lock that copy it. It is made anew below.
select pg_advisory_xact_lock(hashtextextended('toggl_track__settle', 0));
truncate raw.toggl_track__typed_entries;

alter table raw.toggl_track__typed_entries add local_day date, add more_days integer;
comment on column raw.toggl_track__typed_entries.local_day is
    'The local day of its start, in the time zone of raw.toggl_track__day_zones; null where it is running, where it names no workspace or no person, or where start or end cannot be read.';
comment on column raw.toggl_track__typed_entries.more_days is
    'On how many local days after that it goes on; 399 at most.';
-- The months as the views write them. One column each: of an index on two Postgres assumes scattered reads.
create index toggl_track__typed_entries_days on raw.toggl_track__typed_entries (local_day);
create index toggl_track__typed_entries_months
    on raw.toggl_track__typed_entries ((date_trunc('month', local_day::timestamp)::date));
create index toggl_track__typed_entries_last_days
    on raw.toggl_track__typed_entries ((local_day + more_days)) where more_days > 0;
create index toggl_track__typed_entries_last_months
    on raw.toggl_track__typed_entries ((date_trunc('month', (local_day + more_days)::timestamp)::date))
    where more_days > 0;
create index toggl_track__typed_entries_long on raw.toggl_track__typed_entries (local_day) where more_days > 1;
create index toggl_track__typed_entries_undivided on raw.toggl_track__typed_entries (started_at)
    where local_day is null;

create table raw.toggl_track__day_zones (
    workspace_id bigint not null,
    user_id      bigint not null,
    time_zone    text not null,
    rules        numeric not null,
    checked_on   date not null default current_date,
    primary key (workspace_id, user_id)
);
comment on table raw.toggl_track__day_zones is
    'In which time zone the local days in raw.toggl_track__typed_entries were reckoned, for everybody who has had an entry there.';
comment on column raw.toggl_track__day_zones.rules is
    'A checksum of how that zone''s clocks went on this server: an update of the server may change them.';
comment on column raw.toggl_track__day_zones.checked_on is 'When that was last looked at; once a day.';

-- Who asks for no day needs no zone: the error is for those who do.
create function staging.toggl_told_time_zone() returns text
language plpgsql stable parallel safe cost 1 set search_path = pg_catalog, pg_temp as $function$
declare
    told pg_catalog.text := nullif(trim(current_setting('toggl_track.time_zone', true)), '');
begin
    if told is null or told = any(staging.toggl_usual_time_zones()) then
        return told;
    end if;
    return coalesce((select name from pg_catalog.pg_timezone_names where lower(name) = lower(told) limit 1), '?');
end $function$;
comment on function staging.toggl_told_time_zone() is
    'The time zone that the setting toggl_track.time_zone names; null where there is none, ? where the server does not know it.';

create or replace function staging.toggl_chosen_time_zone() returns text
language plpgsql stable parallel safe cost 1 as $function$
declare
    told pg_catalog.text := staging.toggl_told_time_zone();
begin
    if told = '?' then
        raise invalid_parameter_value using
            message = format(
                'the setting toggl_track.time_zone is "%s", which is no time zone of this server',
                trim(current_setting('toggl_track.time_zone'))
            ),
            hint = 'Name one as the IANA database does: set toggl_track.time_zone = ''Europe/Berlin''; the view '
                   'pg_timezone_names has all. Without it, each person''s own zone counts: reset toggl_track.time_zone;';
    end if;
    return told;
end $function$;

create function staging.toggl_ended_at(
    started_at timestamptz, stopped_at timestamptz, duration_seconds bigint, is_running boolean
) returns timestamptz
language sql stable parallel safe
return case
    when is_running then greatest(now(), started_at)
    when stopped_at >= started_at then stopped_at
    when duration_seconds is not null
        then started_at + least(duration_seconds, 3155760000) * interval '1 second'
end;
comment on function staging.toggl_ended_at(timestamptz, timestamptz, bigint, boolean) is
    'When an entry ended: where its stop cannot be read or is before the start, by its duration; now, where it runs.';

create function staging.toggl_more_days(
    started_at timestamptz, ended_at timestamptz, zone text, first_day date
) returns integer
language sql stable parallel safe
return case
    when ended_at > started_at
        then greatest(least(((ended_at - interval '1 microsecond') at time zone zone)::date - first_day, 399), 0)
    else 0
end;
comment on function staging.toggl_more_days(timestamptz, timestamptz, text, date) is
    'On how many local days after its first an entry goes on; 399 at most.';

create function staging.toggl_places() returns integer[]
language sql immutable parallel safe
return array(select generate_series(0, 399));
comment on function staging.toggl_places() is 'The places of an entry''s days: the first has the place 0, the last 399.';

create function raw.toggl_track__zone_rules(zone text) returns numeric
language sql stable
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set timezone_abbreviations = 'Default' as $function$
    select sum(hashint8extended(
        extract(epoch from hour)::bigint, extract(epoch from (hour at time zone zone) - (hour at time zone 'UTC'))::bigint
    ))
    from generate_series(timestamptz '2006-01-01', timestamptz '2038-01-01', interval '1 hour') hour
$function$;
comment on function raw.toggl_track__zone_rules(text) is
    'A checksum of how a zone''s clocks go on this server, hour by hour, since Toggl exists.';

-- One that the server does not know is an error to whoever asks for a day, and none here.
create function raw.toggl_track__usual_time_zone() returns text
language sql stable set search_path = pg_catalog, pg_temp as $function$
    select coalesce((
        select zone.name
        from (
            select trim(substr(setting, length('toggl_track.time_zone=') + 1)) as name
            from pg_db_role_setting of_all
            cross join unnest(of_all.setconfig) as setting
            where of_all.setrole = 0
                and of_all.setdatabase in (0, (select oid from pg_database where datname = current_database()))
                and starts_with(setting, 'toggl_track.time_zone=')
            order by of_all.setdatabase desc
            limit 1
        ) told
        join pg_timezone_names zone on lower(zone.name) = lower(told.name)
        limit 1
    ), '')
$function$;
comment on function raw.toggl_track__usual_time_zone() is
    'The time zone that the setting toggl_track.time_zone has for everybody in this database; empty where each person''s own counts.';

create or replace function raw.toggl_track__retype() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $function$
begin
    perform pg_advisory_xact_lock(hashtextextended('toggl_track__settle', 0));
    truncate raw.toggl_track__typed_entries, raw.toggl_track__touched;
    -- Whoever asks for days locks it before the copy, and would wait for this one, which waits for them.
    delete from raw.toggl_track__day_zones;
    insert into raw.toggl_track__touched (ids)
    select array_agg(source_id)
    from (
        select source_id, row_number() over (order by source_id) / 10000 as piece
        from (
            select source_id from raw.toggl_track__time_entries
            union
            select source_id from raw.toggl_track__time_entries_report
        ) entry
    ) pieces
    group by piece
    -- The copy comes to stand in this order, so that a month of it lies together.
    order by piece;
end $function$;

-- By the rights of its owner, as the views are read. A reader's own types, in pg_temp, come last.
create function raw.toggl_track__moved_users() returns bigint[]
language plpgsql stable parallel safe security definer cost 1 set search_path = pg_catalog, pg_temp as $function$
begin
    return array(select distinct user_id from raw.toggl_track__moved_people);
end $function$;
comment on function raw.toggl_track__moved_users() is
    'Users who have moved: whose local days are to be reckoned in another time zone than the copy of their entries has.';

-- Whose clocks go another way than when their days were reckoned: their entries are to be copied anew. For
-- raw.toggl_track__settle alone, which has everything locked for it.
create function raw.toggl_track__follow_moved() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $function$
declare
    workspace_ids bigint[];
    user_ids      bigint[];
begin
    with wanted as materialized (
        select
            day_zone.workspace_id,
            day_zone.user_id,
            day_zone.rules                          as known_rules,
            moved.user_id is not null               as has_moved,
            coalesce(moved.time_zone, day_zone.time_zone) as time_zone
        from raw.toggl_track__day_zones day_zone
        left join raw.toggl_track__moved_people moved using (workspace_id, user_id)
        where moved.user_id is not null or day_zone.checked_on <> current_date
    ),
    zone as materialized (
        select time_zone, raw.toggl_track__zone_rules(time_zone) as rules
        from (select distinct time_zone from wanted) each
    ),
    checked as (
        update raw.toggl_track__day_zones day_zone
        set time_zone = zone.time_zone, rules = zone.rules, checked_on = current_date
        from wanted
        join zone using (time_zone)
        where day_zone.workspace_id = wanted.workspace_id and day_zone.user_id = wanted.user_id
    )
    select array_agg(workspace_id), array_agg(user_id) into workspace_ids, user_ids
    from wanted
    join zone using (time_zone)
    where wanted.has_moved or zone.rules <> wanted.known_rules;
    if user_ids is not null then
        insert into raw.toggl_track__touched (ids)
        select array_agg(time_entry_id)
        from (
            select time_entry_id, row_number() over (order by started_at) / 10000 as piece
            from raw.toggl_track__typed_entries typed
            join unnest(workspace_ids, user_ids) as moved(workspace_id, user_id)
                on moved.workspace_id = typed.workspace_id and moved.user_id = typed.user_id
        ) pieces
        group by piece
        order by piece;
    end if;
end $function$;
comment on function raw.toggl_track__follow_moved() is
    'Notes the entries of those whose time zone is another one than when the copy was made, or has other rules now.';
revoke execute on function raw.toggl_track__follow_moved() from public;

-- One statement does all of it, so that all of it sees the same: what is touched meanwhile stays noted. In pieces,
-- for loaders' statements have little time. The setting tells the view which piece.
create or replace function raw.toggl_track__settle(quiet interval) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set timezone_abbreviations = 'Default' as $function$
declare
    last_touched_id bigint;
    settled         bigint;
    sessions_zone   text := current_setting('toggl_track.time_zone', true);
begin
    -- The views follow their functions after a moment.
    if to_regclass('raw.toggl_track__moved_people') is null then
        return 0;
    end if;
    if not pg_try_advisory_xact_lock(hashtextextended('toggl_track__settle', 0)) then
        return 0;
    end if;
    -- For all loaders it must be the same one, whoever they are logged in as.
    perform set_config('toggl_track.time_zone', raw.toggl_track__usual_time_zone(), true);
    perform raw.toggl_track__follow_moved();
    if not exists (
        select from raw.toggl_track__touched
        where not is_disputed
        having max(touched_at) < clock_timestamp() - quiet
            or min(touched_at) < clock_timestamp() - greatest(quiet, interval '10 minutes')
    ) then
        perform set_config('toggl_track.time_zone', coalesce(sessions_zone, ''), true);
        return 0;
    end if;
    select max(touched_id) into last_touched_id
    from (
        select touched_id, sum(cardinality(ids)) over (order by touched_id) - cardinality(ids) as before
        from (select touched_id, ids from raw.toggl_track__touched order by touched_id limit 10000) first
    ) pieces
    where before < 10000;
    perform set_config('toggl_track.settle_through', last_touched_id::text, true);
    with taken as (
        delete from raw.toggl_track__touched where touched_id <= last_touched_id returning ids
    ),
    touched as materialized (
        select distinct id from taken, unnest(ids) as id
    ),
    disputed as materialized (
        select id
        from touched
        join raw.toggl_track__time_entries v9 on v9.source_id = id
        join raw.toggl_track__time_entries_report report on report.source_id = id
        where (v9.deleted_at is null) <> (report.deleted_at is null)
    ),
    kept as (
        insert into raw.toggl_track__touched (ids, is_disputed)
        select array_agg(id), true from disputed having count(*) > 0
    ),
    present as materialized (
        select * from raw.toggl_track__touched_entries
        where time_entry_id not in (select id from disputed)
    ),
    newcomer as materialized (
        select
            person.workspace_id,
            person.user_id,
            coalesce(
                (select staging.toggl_chosen_time_zone()), member.time_zone, profile.time_zone, 'UTC'
            ) as time_zone
        from (
            select workspace_id, user_id from present where workspace_id is not null and user_id is not null
            except
            select workspace_id, user_id from raw.toggl_track__day_zones
        ) person
        left join raw.toggl_track__members member
            on member.workspace_id = person.workspace_id and member.user_id = person.user_id
        left join raw.toggl_track__profiles profile on profile.user_id = person.user_id
    ),
    known as (
        insert into raw.toggl_track__day_zones (workspace_id, user_id, time_zone, rules)
        select workspace_id, user_id, time_zone, zone.rules
        from newcomer
        join (
            select each.time_zone, raw.toggl_track__zone_rules(each.time_zone) as rules
            from (select distinct time_zone from newcomer) each
        ) zone using (time_zone)
    ),
    day_zone as materialized (
        select workspace_id, user_id, time_zone from raw.toggl_track__day_zones
        union all
        select workspace_id, user_id, time_zone from newcomer
    ),
    gone as (
        delete from raw.toggl_track__typed_entries typed using touched
        where typed.time_entry_id = touched.id
            and not exists (select from present where present.time_entry_id = touched.id)
    ),
    copied as (
        insert into raw.toggl_track__typed_entries as typed (
            time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags, tag_ids,
            is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount, hourly_rate,
            currency, source, modified_at, fetched_at, synced_at, report_fetched_at, local_day, more_days
        )
        select
            time_entry_id, present.workspace_id, present.user_id, user_name, project_id, task_id, description,
            told_tags, tag_ids, is_billable, started_at, stopped_at, duration_seconds, is_running,
            billable_amount, hourly_rate, currency, source, modified_at, fetched_at, synced_at,
            report_fetched_at,
            local.day,
            case when local.day is not null then
                staging.toggl_more_days(started_at, local.ended_at, day_zone.time_zone, local.day)
            end
        from present
        left join day_zone
            on day_zone.workspace_id = present.workspace_id and day_zone.user_id = present.user_id
        cross join lateral (
            select
                entry.ended_at,
                case
                    when not is_running
                        and started_at > timestamptz '0001-01-01' and started_at < timestamptz '20000-01-01'
                        and isfinite(entry.ended_at) is not false
                        then (started_at at time zone day_zone.time_zone)::date
                end as day
            from (
                select staging.toggl_ended_at(started_at, stopped_at, duration_seconds, is_running) as ended_at
                offset 0
            ) entry
            offset 0
        ) local
        order by started_at
        on conflict (time_entry_id) do update set
            workspace_id = excluded.workspace_id, user_id = excluded.user_id, user_name = excluded.user_name,
            project_id = excluded.project_id, task_id = excluded.task_id, description = excluded.description,
            told_tags = excluded.told_tags, tag_ids = excluded.tag_ids, is_billable = excluded.is_billable,
            started_at = excluded.started_at, stopped_at = excluded.stopped_at,
            duration_seconds = excluded.duration_seconds, is_running = excluded.is_running,
            billable_amount = excluded.billable_amount, hourly_rate = excluded.hourly_rate,
            currency = excluded.currency, source = excluded.source, modified_at = excluded.modified_at,
            fetched_at = excluded.fetched_at, synced_at = excluded.synced_at,
            report_fetched_at = excluded.report_fetched_at, local_day = excluded.local_day,
            more_days = excluded.more_days
        -- An entry may have been noted twice, as by a list and by a report.
        where typed is distinct from excluded
    )
    select count(*) into settled from touched;
    -- Whoever reads on in this transaction is to see everything.
    perform set_config('toggl_track.settle_through', '', true);
    perform set_config('toggl_track.time_zone', coalesce(sessions_zone, ''), true);
    return settled;
end $function$;

-- A reader's own types, in pg_temp, come last for these, too.
alter function raw.toggl_track__touch() set search_path = pg_catalog, pg_temp;
alter function raw.toggl_track__touch_deleted() set search_path = pg_catalog, pg_temp;
alter function raw.toggl_track__touch_emptied() set search_path = pg_catalog, pg_temp;
alter function raw.toggl_track__note_touched(bigint[]) set search_path = pg_catalog, pg_temp;
alter function raw.toggl_track__confirmed_at(text, bigint, timestamptz, bigint) set search_path = pg_catalog, pg_temp;

select raw.toggl_track__retype();
