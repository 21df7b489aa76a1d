-- What is noted as touched, read from the raw tables. An entry may stand in both. The newer row wins; if that one
-- is deleted, so is the entry. Of a deleted row is known when it was found missing, of a live one when it was
-- fetched and, where the other is deleted, when a listing last confirmed it: only then does it matter, so only
-- then is it asked. Neither a `with` nor a subquery stands here, so that several workers of Postgres may read the copy
-- beside it.
create or replace view raw.toggl_track__touched_entries as
select
    t.source_id                                             as time_entry_id,
    coalesce(
        nullif(t.workspace_id, 0),
        staging.toggl_bigint(t.data->>'workspace_id'),
        staging.toggl_bigint(t.data->>'wid')
    )                                                       as workspace_id,
    coalesce(
        t.user_id, staging.toggl_bigint(t.data->>'user_id'), staging.toggl_bigint(t.data->>'uid')
    )                                                       as user_id,
    coalesce(report.user_name, nullif(t.data->>'user_name', '')) as user_name,
    coalesce(staging.toggl_bigint(t.data->>'project_id'), staging.toggl_bigint(t.data->>'pid')) as project_id,
    coalesce(staging.toggl_bigint(t.data->>'task_id'), staging.toggl_bigint(t.data->>'tid'))    as task_id,
    nullif(t.data->>'description', '')                      as description,
    case
        when entry.tags <> '[]' then array_remove(array(
            select own.tag_name from jsonb_array_elements_text(entry.tags) as own(tag_name)
        ), null)
    end                                                     as told_tags,
    array_remove(array(
        select staging.toggl_bigint(own.tag_id) from jsonb_array_elements_text(entry.tag_ids) as own(tag_id)
    ), null)                                                as tag_ids,
    staging.toggl_boolean(t.data->>'billable')              as is_billable,
    coalesce(t.started_at, staging.toggl_timestamp(t.data->>'start')) as started_at,
    staging.toggl_timestamp(t.data->>'stop')                as stopped_at,
    case
        when not entry.is_running
            then staging.toggl_seconds(t.data->>'duration', t.data->>'start', t.data->>'stop')
    end                                                     as duration_seconds,
    entry.is_running,
    report.billable_amount,
    report.hourly_rate,
    report.currency,
    'v9'                                                    as source,
    t.modified_at,
    t.fetched_at,
    t.synced_at,
    report.fetched_at                                       as report_fetched_at
from raw.toggl_track__touched_ids touched
join raw.toggl_track__time_entries t on t.source_id = touched.id
cross join lateral (
    select
        coalesce(t.data->>'stop', '') = '' as is_running,
        staging.toggl_list(t.data->'tags') as tags,
        staging.toggl_list(t.data->'tag_ids') as tag_ids
) entry
left join raw.toggl_track__report_entries report on report.time_entry_id = t.source_id
where t.deleted_at is null
    and staging.toggl_report_is_newer(
        t.modified_at,
        greatest(t.fetched_at, case when report.deleted_at is not null then
            raw.toggl_track__confirmed_at('time_entries', 0, t.started_at, t.user_id)
        end),
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
    null,
    report.tag_ids,
    report.is_billable,
    report.started_at,
    report.stopped_at,
    report.duration_seconds,
    report.is_running,
    report.billable_amount,
    report.hourly_rate,
    report.currency,
    'v3',
    report.modified_at,
    report.fetched_at,
    report.synced_at,
    report.fetched_at
from raw.toggl_track__touched_ids touched
join raw.toggl_track__report_entries report on report.time_entry_id = touched.id
left join raw.toggl_track__time_entries t on t.source_id = report.time_entry_id
where report.deleted_at is null
    and (t.source_id is null or staging.toggl_report_is_newer(
        t.modified_at,
        greatest(t.fetched_at, t.deleted_at),
        report.modified_at,
        -- Listings leave running entries of reports alone, and so confirm none.
        greatest(report.fetched_at, case when t.deleted_at is not null and not report.is_running then
            raw.toggl_track__confirmed_at(
                'time_entries_report', report.workspace_id, report.started_at, report.user_id
            )
        end)
    ));

comment on view raw.toggl_track__touched_entries is
    'The time entries that were touched since the copy in raw.toggl_track__typed_entries was brought up to date, as the raw tables have them.';
