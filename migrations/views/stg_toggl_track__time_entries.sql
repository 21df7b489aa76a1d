-- An entry may stand in both raw tables. The newer row wins; if that one is deleted, so is the entry.
-- Of a deleted row is known when it was found missing, of a live one when it was fetched and, where the
-- other is deleted, when a listing last confirmed it: only then does it matter, so only then is it asked.
create or replace view staging.stg_toggl_track__time_entries as
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
    case
        when not entry.is_running
            then staging.toggl_seconds(t.data->>'duration', t.data->>'start', t.data->>'stop')
    end                                                     as duration_seconds,
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
        coalesce(t.data->>'stop', '') = '' as is_running,
        staging.toggl_list(t.data->'tags') as tags,
        staging.toggl_list(t.data->'tag_ids') as tag_ids
) entry
left join raw.toggl_track__time_entries_report report on report.source_id = t.source_id
where t.deleted_at is null
    and coalesce(entry.workspace_id, 0) <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ))
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

comment on view staging.stg_toggl_track__time_entries is
    'All time entries, one row each: from time_entries (v9) or from time_entries_report (v3), whichever is newer. An entry that the newer one says is deleted is hidden.';
comment on column staging.stg_toggl_track__time_entries.time_entry_id is
    'Toggl''s id of the entry, the same in all its interfaces.';
comment on column staging.stg_toggl_track__time_entries.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__time_entries.user_id is 'Toggl''s id of the user whose entry it is.';
comment on column staging.stg_toggl_track__time_entries.user_name is 'The user''s name, as reports have it.';
comment on column staging.stg_toggl_track__time_entries.project_id is
    'Toggl''s id of the project; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__time_entries.task_id is
    'Toggl''s id of the task; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__time_entries.description is 'What was worked on.';
comment on column staging.stg_toggl_track__time_entries.tags is
    'Names of the tags; empty where it has none. Reports have the ids alone: of these, a tag that is not in the raw tables is left out.';
comment on column staging.stg_toggl_track__time_entries.tag_ids is 'Toggl''s ids of the tags; empty where it has none.';
comment on column staging.stg_toggl_track__time_entries.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__time_entries.started_at is 'Its start.';
comment on column staging.stg_toggl_track__time_entries.stopped_at is 'Its end; null while it runs.';
comment on column staging.stg_toggl_track__time_entries.duration_seconds is
    'How long it took; null while it runs. It may differ from the time between start and stop, which stands in for a negative one; 0 where the stop lies before the start then.';
comment on column staging.stg_toggl_track__time_entries.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__time_entries.billable_amount is
    'Its price, in units of the currency (not in cents). Where a report row held several entries, its part of the row''s price, by seconds.';
comment on column staging.stg_toggl_track__time_entries.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__time_entries.currency is 'Currency of the amounts.';
comment on column staging.stg_toggl_track__time_entries.source is
    'Where the row is from: v9 (GET /me/time_entries) or v3 (a report); amounts and user name are a report''s in either case.';
comment on column staging.stg_toggl_track__time_entries.modified_at is 'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__time_entries.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__time_entries.synced_at is 'When the loader last wrote its row.';
comment on column staging.stg_toggl_track__time_entries.report_fetched_at is
    'When the report was read that amounts and user name are from; null where there is none.';
