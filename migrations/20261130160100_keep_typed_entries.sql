-- Time entries with columns instead of JSON, and already united of both raw tables, so that the views need neither
-- read JSON nor look up the other table's row. They are a copy, made afterwards: every statement that writes one
-- of the two raw tables notes in its own transaction which entries it touched, and what is noted is read from the
-- raw tables until the loader has brought the copy up to date.

set local statement_timeout = 0;

create table raw.toggl_track__typed_entries (
    time_entry_id     bigint primary key,
    workspace_id      bigint,
    user_id           bigint,
    user_name         text,
    project_id        bigint,
    task_id           bigint,
    description       text,
    told_tags         text[],
    tag_ids           bigint[],
    is_billable       boolean,
    started_at        timestamptz,
    stopped_at        timestamptz,
    duration_seconds  bigint,
    is_running        boolean,
    billable_amount   numeric,
    hourly_rate       numeric,
    currency          text,
    source            text,
    modified_at       timestamptz,
    fetched_at        timestamptz,
    synced_at         timestamptz,
    report_fetched_at timestamptz
);
create index toggl_track__typed_entries_starts on raw.toggl_track__typed_entries (started_at);
comment on table raw.toggl_track__typed_entries is
    'A copy of the time entries, one row each, with columns instead of JSON. Ask staging.stg_toggl_track__time_entries, which knows what of it is out of date. It may be emptied by the function raw.toggl_track__retype.';
comment on column raw.toggl_track__typed_entries.told_tags is
    'Names of the tags as the entry has them; null where it has their ids alone.';

create table raw.toggl_track__touched (
    touched_id  bigint generated always as identity primary key,
    ids         bigint[] not null,
    is_disputed boolean not null default false,
    touched_at  timestamptz not null default now()
);
comment on table raw.toggl_track__touched is
    'Entries of which the copy in raw.toggl_track__typed_entries may be out of date: a row for each statement that wrote some.';
comment on column raw.toggl_track__touched.is_disputed is
    'Whether one raw table has the entry and the other calls it deleted: which counts, later lists may change without touching either, so that these are never copied.';

-- The rights are the owner's: whoever may write the raw tables need not know of this.
create function raw.toggl_track__touch() returns trigger
language plpgsql security definer set search_path = '' as $function$
declare
    changed_ids bigint[] := (select array_agg(source_id) from changed);
begin
    if cardinality(changed_ids) <= 10000 then
        insert into raw.toggl_track__touched (ids) values (changed_ids);
    else
        -- Of a statement that wrote nothing there is nothing to note; a long one is copied in pieces.
        insert into raw.toggl_track__touched (ids)
        select changed_ids[first : first + 9999] from generate_series(1, cardinality(changed_ids), 10000) as first;
    end if;
    return null;
end $function$;
comment on function raw.toggl_track__touch() is 'Notes which entries a statement wrote.';

-- What was deleted from a raw table, as when somebody is forgotten, goes from the copy at once.
create function raw.toggl_track__touch_deleted() returns trigger
language plpgsql security definer set search_path = '' as $function$
begin
    perform pg_advisory_xact_lock(hashtextextended('toggl_track__settle', 0));
    delete from raw.toggl_track__typed_entries where time_entry_id in (select source_id from changed);
    insert into raw.toggl_track__touched (ids)
    select array_agg(source_id)
    from (select source_id, row_number() over () / 10000 as piece from changed) pieces
    group by piece;
    return null;
end $function$;
comment on function raw.toggl_track__touch_deleted() is
    'Deletes from the copy what a statement deleted from a raw table.';

create function raw.toggl_track__touch_emptied() returns trigger
language plpgsql security definer set search_path = '' as $function$
begin
    perform raw.toggl_track__retype();
    return null;
end $function$;
comment on function raw.toggl_track__touch_emptied() is 'Makes the copy anew, as where a raw table was emptied.';

create function raw.toggl_track__retype() returns void
language plpgsql security definer set search_path = '' as $function$
begin
    perform pg_advisory_xact_lock(hashtextextended('toggl_track__settle', 0));
    truncate raw.toggl_track__typed_entries, raw.toggl_track__touched;
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
    group by piece;
end $function$;
comment on function raw.toggl_track__retype() is
    'Empties the copy of the time entries: they are read from the raw tables until a loader has copied them again.';

do $migration$
declare
    raw_table text;
begin
    foreach raw_table in array array['toggl_track__time_entries', 'toggl_track__time_entries_report'] loop
        execute format(
            'create trigger toggl_track__touch_inserted after insert on raw.%1$I
                 referencing new table as changed for each statement execute function raw.toggl_track__touch();
             create trigger toggl_track__touch_updated after update on raw.%1$I
                 referencing new table as changed for each statement execute function raw.toggl_track__touch();
             create trigger toggl_track__touch_deleted after delete on raw.%1$I
                 referencing old table as changed for each statement
                 execute function raw.toggl_track__touch_deleted();
             create trigger toggl_track__touch_emptied after truncate on raw.%1$I
                 for each statement execute function raw.toggl_track__touch_emptied();',
            raw_table);
    end loop;
end $migration$;
select raw.toggl_track__retype();

-- One statement does all of it, so that all of it sees the same: what is touched meanwhile stays noted. In pieces,
-- for loaders' statements have little time. The setting tells the view which piece.
create function raw.toggl_track__settle(quiet interval) returns bigint
language plpgsql security definer set search_path = '' as $function$
declare
    last_touched_id bigint;
    settled         bigint;
begin
    if not exists (
        select from raw.toggl_track__touched
        where not is_disputed
        having max(touched_at) < clock_timestamp() - quiet
            or min(touched_at) < clock_timestamp() - greatest(quiet, interval '10 minutes')
    ) or not pg_try_advisory_xact_lock(hashtextextended('toggl_track__settle', 0)) then
        return 0;
    end if;
    select max(touched_id) into last_touched_id
    from (
        select touched_id, sum(cardinality(ids)) over (order by touched_id) - cardinality(ids) as before
        from (select touched_id, ids from raw.toggl_track__touched order by touched_id limit 100) first
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
    gone as (
        delete from raw.toggl_track__typed_entries typed using touched
        where typed.time_entry_id = touched.id
            and not exists (select from present where present.time_entry_id = touched.id)
    ),
    copied as (
        insert into raw.toggl_track__typed_entries as typed (
            time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags, tag_ids,
            is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount, hourly_rate,
            currency, source, modified_at, fetched_at, synced_at, report_fetched_at
        )
        select
            time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags, tag_ids,
            is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount, hourly_rate,
            currency, source, modified_at, fetched_at, synced_at, report_fetched_at
        from present
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
            report_fetched_at = excluded.report_fetched_at
        -- An entry may have been noted twice, as by a list and by a report.
        where typed is distinct from excluded
    )
    select count(*) into settled from touched;
    -- Whoever reads on in this transaction is to see everything.
    perform set_config('toggl_track.settle_through', '', true);
    return settled;
end $function$;
comment on function raw.toggl_track__settle(interval) is
    'Brings a piece of the copy of the time entries up to date, and answers of how many entries; 0 where nothing is left to do, another session is doing it, or entries were still being written within that interval. Loaders call it.';
