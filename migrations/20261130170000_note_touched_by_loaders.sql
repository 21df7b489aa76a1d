-- Triggers with transition tables cost a loader's statements a seventh of their CPU: Postgres keeps a second copy of
-- every row. Loaders know which entries a batch writes, and note them themselves; what anybody else writes is noted
-- row by row.

create function raw.toggl_track__note_touched(touched_ids bigint[]) returns void
language plpgsql security definer set search_path = '' as $function$
begin
    if cardinality(touched_ids) <= 10000 then
        insert into raw.toggl_track__touched (ids) values (touched_ids);
    else
        -- A long list is copied in pieces.
        insert into raw.toggl_track__touched (ids)
        select touched_ids[first : first + 9999] from generate_series(1, cardinality(touched_ids), 10000) as first;
    end if;
end $function$;
comment on function raw.toggl_track__note_touched(bigint[]) is
    'Notes that these entries were written. For transactions that set toggl_track.notes_touched to on, whose rows no trigger notes.';

-- It reads a setting, and so is not immutable. As it says that it is, Postgres asks it once a statement instead of
-- once a row; within a statement the answer is the same.
create function raw.toggl_track__notes_nothing() returns boolean
language sql immutable set search_path = '' as $function$
    select current_setting('toggl_track.notes_touched', true) is distinct from 'on'
$function$;
comment on function raw.toggl_track__notes_nothing() is
    'Whether triggers are to note what this transaction writes: it does not do so itself.';

create or replace function raw.toggl_track__touch() returns trigger
language plpgsql security definer set search_path = '' as $function$
begin
    insert into raw.toggl_track__touched (ids) values (
        case when tg_op = 'UPDATE' and old.source_id <> new.source_id
            then array[old.source_id, new.source_id]
            else array[new.source_id]
        end);
    return null;
end $function$;
comment on function raw.toggl_track__touch() is 'Notes which entry was written.';
comment on table raw.toggl_track__touched is
    'Entries of which the copy in raw.toggl_track__typed_entries may be out of date: a row for each statement of a loader, and for each entry that anybody else wrote.';

do $migration$
declare
    raw_table text;
begin
    foreach raw_table in array array['toggl_track__time_entries', 'toggl_track__time_entries_report'] loop
        execute format(
            'drop trigger toggl_track__touch_inserted on raw.%1$I;
             drop trigger toggl_track__touch_updated on raw.%1$I;
             create trigger toggl_track__touch_written after insert or update on raw.%1$I
                 for each row when (raw.toggl_track__notes_nothing()) execute function raw.toggl_track__touch();',
            raw_table);
    end loop;
end $migration$;

-- Rows with one entry each are many.
-- One statement does all of it, so that all of it sees the same: what is touched meanwhile stays noted. In pieces,
-- for loaders' statements have little time. The setting tells the view which piece.
create or replace function raw.toggl_track__settle(quiet interval) returns bigint
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
