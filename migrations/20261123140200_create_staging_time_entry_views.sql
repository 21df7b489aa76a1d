-- Typed views of time entries: those of reports, and all of them, one row per entry.

create function staging.toggl_part_of_row(amount numeric, entry jsonb) returns numeric
language sql immutable parallel safe
return (
    select case
        when count(*) < 2 then amount
        when sum(part.seconds) > 0
            then round(amount * coalesce(greatest(staging.toggl_bigint(entry->>'seconds'), 0), 0) / sum(part.seconds), 6)
        else round(amount / count(*), 6)
    end
    from jsonb_array_elements(staging.toggl_list(entry->'time_entries')) as element,
        lateral (select coalesce(greatest(staging.toggl_bigint(element->>'seconds'), 0), 0) as seconds) as part
);
comment on function staging.toggl_part_of_row(numeric, jsonb) is
    'An entry''s part of its report row''s amount: by seconds, or evenly where the row has none.';

create function staging.toggl_report_is_newer(
    v9_modified_at timestamptz, v9_known_at timestamptz, report_modified_at timestamptz, report_known_at timestamptz
) returns boolean
language sql stable parallel safe
return case
    when report_modified_at >= coalesce(v9_modified_at, '-infinity') + interval '1 second' then true
    when v9_modified_at >= coalesce(report_modified_at, '-infinity') + interval '1 second' then false
    else report_known_at > v9_known_at
end;
comment on function staging.toggl_report_is_newer(timestamptz, timestamptz, timestamptz, timestamptz) is
    'Which of two forms of an entry is newer: by its last change, then by when it was known. Reports give the last change in whole seconds, so less than one apart is the same change. Equal is not newer.';

create view staging.stg_toggl_track__time_entries_report as
select
    t.source_id                                             as time_entry_id,
    t.workspace_id,
    entry.user_id,
    nullif(t.data->>'username', '')                         as user_name,
    staging.toggl_bigint(t.data->>'project_id')             as project_id,
    staging.toggl_bigint(t.data->>'task_id')                as task_id,
    nullif(t.data->>'description', '')                      as description,
    array_remove(array(
        select (
            select tag.data->>'name'
            from raw.toggl_track__tags tag
            where tag.source_id = staging.toggl_bigint(own.tag_id)
        )
        from jsonb_array_elements_text(entry.tag_ids) as own(tag_id)
    ), null)                                                as tags,
    array_remove(array(
        select staging.toggl_bigint(own.tag_id) from jsonb_array_elements_text(entry.tag_ids) as own(tag_id)
    ), null)                                                as tag_ids,
    staging.toggl_boolean(t.data->>'billable')              as is_billable,
    entry.started_at,
    staging.toggl_timestamp(t.data->>'stop')                as stopped_at,
    case when not entry.is_running then staging.toggl_bigint(t.data->>'seconds') end as duration_seconds,
    entry.is_running,
    case
        when t.data ? 'time_entries' then staging.toggl_part_of_row(entry.row_amount, t.data)
        else entry.row_amount
    end                                                     as billable_amount,
    staging.toggl_numeric(t.data->>'hourly_rate_in_cents') * 0.01 as hourly_rate,
    nullif(t.data->>'currency', '')                         as currency,
    t.modified_at,
    t.fetched_at,
    t.synced_at
from raw.toggl_track__time_entries_report t
cross join lateral (
    select
        coalesce(t.started_at, staging.toggl_timestamp(t.data->>'start')) as started_at,
        coalesce(t.user_id, staging.toggl_bigint(t.data->>'user_id')) as user_id,
        coalesce(t.data->>'stop', '') = '' or coalesce(staging.toggl_bigint(t.data->>'seconds') < 0, false) as is_running,
        staging.toggl_numeric(t.data->>'billable_amount_in_cents') * 0.01 as row_amount,
        staging.toggl_list(t.data->'tag_ids') as tag_ids
) entry
where t.deleted_at is null;

-- An entry may stand in both raw tables. The newer row wins; if that one is deleted, so is the entry.
-- Of a deleted row is known when it was found missing, of a live one when it was fetched and, where the
-- other is deleted, when a listing last confirmed it: only then does it matter, so only then is it asked.
create view staging.stg_toggl_track__time_entries as
select
    t.source_id                                             as time_entry_id,
    entry.workspace_id,
    entry.user_id,
    coalesce(nullif(report.data->>'username', ''), nullif(t.data->>'user_name', '')) as user_name,
    coalesce(staging.toggl_bigint(t.data->>'project_id'), staging.toggl_bigint(t.data->>'pid')) as project_id,
    coalesce(staging.toggl_bigint(t.data->>'task_id'), staging.toggl_bigint(t.data->>'tid'))    as task_id,
    nullif(t.data->>'description', '')                      as description,
    case
        when entry.tags <> '[]' then array_remove(array(
            select own.tag_name from jsonb_array_elements_text(entry.tags) as own(tag_name)
        ), null)
        else array_remove(array(
            select (
                select tag.data->>'name'
                from raw.toggl_track__tags tag
                where tag.source_id = staging.toggl_bigint(own.tag_id)
            )
            from jsonb_array_elements_text(entry.tag_ids) as own(tag_id)
        ), null)
    end                                                     as tags,
    array_remove(array(
        select staging.toggl_bigint(own.tag_id) from jsonb_array_elements_text(entry.tag_ids) as own(tag_id)
    ), null)                                                as tag_ids,
    staging.toggl_boolean(t.data->>'billable')              as is_billable,
    entry.started_at,
    staging.toggl_timestamp(t.data->>'stop')                as stopped_at,
    case when not entry.is_running then staging.toggl_bigint(t.data->>'duration') end as duration_seconds,
    entry.is_running,
    case
        when report.data ? 'time_entries' then staging.toggl_part_of_row(
            staging.toggl_numeric(report.data->>'billable_amount_in_cents') * 0.01, report.data)
        else staging.toggl_numeric(report.data->>'billable_amount_in_cents') * 0.01
    end                                                     as billable_amount,
    staging.toggl_numeric(report.data->>'hourly_rate_in_cents') * 0.01 as hourly_rate,
    nullif(report.data->>'currency', '')                    as currency,
    'v9'                                                    as source,
    t.modified_at,
    t.fetched_at,
    t.synced_at,
    report.fetched_at                                       as report_fetched_at
from raw.toggl_track__time_entries t
cross join lateral (
    select
        coalesce(
            nullif(t.workspace_id, 0),
            staging.toggl_bigint(t.data->>'workspace_id'),
            staging.toggl_bigint(t.data->>'wid')
        ) as workspace_id,
        coalesce(t.started_at, staging.toggl_timestamp(t.data->>'start')) as started_at,
        coalesce(
            t.user_id, staging.toggl_bigint(t.data->>'user_id'), staging.toggl_bigint(t.data->>'uid')
        ) as user_id,
        coalesce(t.data->>'stop', '') = '' or coalesce(staging.toggl_bigint(t.data->>'duration') < 0, false) as is_running,
        staging.toggl_list(t.data->'tags') as tags,
        staging.toggl_list(t.data->'tag_ids') as tag_ids
) entry
left join raw.toggl_track__time_entries_report report on report.source_id = t.source_id
where t.deleted_at is null
    and staging.toggl_report_is_newer(
        t.modified_at,
        greatest(t.fetched_at, case when report.deleted_at is not null then (
            select max(claim.fetched_at)
            from raw.toggl_track__claims claim
            where claim.resource = 'time_entries' and claim.workspace_id = 0
                and claim.starts @> t.started_at
                and (claim.user_id is null or claim.user_id = t.user_id)
        ) end),
        report.modified_at,
        greatest(report.fetched_at, report.deleted_at)
    ) is not true

union all

select
    report.time_entry_id,
    report.workspace_id,
    report.user_id,
    report.user_name,
    report.project_id,
    report.task_id,
    report.description,
    report.tags,
    report.tag_ids,
    report.is_billable,
    report.started_at,
    report.stopped_at,
    report.duration_seconds,
    report.is_running,
    report.billable_amount,
    report.hourly_rate,
    report.currency,
    'v3'                                                    as source,
    report.modified_at,
    report.fetched_at,
    report.synced_at,
    report.fetched_at                                       as report_fetched_at
from staging.stg_toggl_track__time_entries_report report
left join raw.toggl_track__time_entries t on t.source_id = report.time_entry_id
where t.source_id is null
    or staging.toggl_report_is_newer(
        t.modified_at,
        greatest(t.fetched_at, t.deleted_at),
        report.modified_at,
        -- Listings leave running entries of reports alone, and so confirm none.
        greatest(report.fetched_at, case when t.deleted_at is not null and not report.is_running then (
            select max(claim.fetched_at)
            from raw.toggl_track__claims claim
            where claim.resource = 'time_entries_report' and claim.workspace_id = report.workspace_id
                and claim.starts @> report.started_at
                and (claim.user_id is null or claim.user_id = report.user_id)
        ) end)
    );

comment on view staging.stg_toggl_track__time_entries_report is
    'Time entries as reports show them, one row each. Beside those of time_entries: other people''s, and old ones.';
comment on view staging.stg_toggl_track__time_entries is
    'All time entries, one row each: from time_entries (v9) or from time_entries_report (v3), whichever is newer. An entry that the newer one says is deleted is hidden.';
comment on column staging.stg_toggl_track__time_entries.source is
    'Where the row is from: v9 (GET /me/time_entries) or v3 (a report); amounts and user name are a report''s in either case.';
comment on column staging.stg_toggl_track__time_entries.report_fetched_at is
    'When the report was read that amounts and user name are from; null where there is none.';

-- The rest means the same in both.
do $$
declare
    meanings constant jsonb := $meanings${
        "time_entry_id": "Toggl's id of the entry, the same in all its interfaces.",
        "workspace_id": "Toggl's id of the workspace.",
        "user_id": "Toggl's id of the user whose entry it is.",
        "user_name": "The user's name, as reports have it.",
        "project_id": "Toggl's id of the project; null where it has none, or none any more.",
        "task_id": "Toggl's id of the task; null where it has none, or none any more.",
        "description": "What was worked on.",
        "tags": "Names of the tags; empty where it has none. Reports have the ids alone: of these, a tag that is not in the raw tables is left out.",
        "tag_ids": "Toggl's ids of the tags; empty where it has none.",
        "is_billable": "Whether it is billable.",
        "started_at": "Its start.",
        "stopped_at": "Its end; null while it runs.",
        "duration_seconds": "How long it took; null while it runs. It may differ from the time between start and stop.",
        "is_running": "Whether it was running when it was fetched.",
        "billable_amount": "Its price, in units of the currency (not in cents). Where a report row held several entries, its part of the row's price, by seconds.",
        "hourly_rate": "Price of an hour, in units of the currency (not in cents).",
        "currency": "Currency of the amounts.",
        "modified_at": "When it was last changed, by Toggl's account.",
        "fetched_at": "When Toggl was asked for this form of it; it may have been seen unchanged since.",
        "synced_at": "When the loader last wrote its row."
    }$meanings$;
    target record;
begin
    for target in
        select a.attrelid::regclass as view_name, a.attname as column_name, meanings->>a.attname as meaning
        from pg_attribute a
        where a.attrelid in (
                'staging.stg_toggl_track__time_entries_report'::regclass,
                'staging.stg_toggl_track__time_entries'::regclass)
            and meanings ? a.attname
    loop
        execute format('comment on column %s.%I is %L', target.view_name, target.column_name, target.meaning);
    end loop;
end $$;
