-- An entry that has a stop does not run, whatever its duration says; and what belongs to a workspace that no
-- account has any more is hidden, as in the other views.

create function staging.toggl_seconds(told text, started text, stopped text) returns bigint
language sql stable parallel safe
return coalesce(
    case when told not like '-%' then staging.toggl_bigint(told) end,
    case
        when staging.toggl_timestamp(stopped) < staging.toggl_timestamp(started) then 0
        else round(extract(epoch from
            staging.toggl_timestamp(stopped) - staging.toggl_timestamp(started)))::bigint
    end
);
comment on function staging.toggl_seconds(text, text, text) is
    'How long an entry that has stopped took: what Toggl tells; where that is negative or missing, which is no length of time, from start to stop. A stop before the start, as after an edit or from two clocks, makes 0: nothing that could be added up was tracked, and null would say that it runs.';

create or replace function staging.toggl_part_of_row(amount numeric, entry jsonb) returns numeric
language sql stable parallel safe
return (
    select case
        when count(*) < 2 then amount
        when sum(part.seconds) > 0
            then round(amount * coalesce(staging.toggl_seconds(
                entry->>'seconds', entry->>'start', entry->>'stop'), 0) / sum(part.seconds), 6)
        else round(amount / count(*), 6)
    end
    from jsonb_array_elements(staging.toggl_list(entry->'time_entries')) as element,
        lateral (
            select coalesce(staging.toggl_seconds(
                element->>'seconds', element->>'start', element->>'stop'), 0) as seconds
        ) as part
);

create or replace view staging.stg_toggl_track__time_entries_report as
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
    case
        when not entry.is_running
            then staging.toggl_seconds(t.data->>'seconds', t.data->>'start', t.data->>'stop')
    end                                                     as duration_seconds,
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
        coalesce(t.data->>'stop', '') = '' as is_running,
        staging.toggl_numeric(t.data->>'billable_amount_in_cents') * 0.01 as row_amount,
        staging.toggl_list(t.data->'tag_ids') as tag_ids
) entry
where t.deleted_at is null
    and t.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

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

comment on column staging.stg_toggl_track__time_entries_report.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__time_entries.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__time_entries_report.duration_seconds is
    'How long it took; null while it runs. It may differ from the time between start and stop, which stands in for a negative one; 0 where the stop lies before the start then.';
comment on column staging.stg_toggl_track__time_entries.duration_seconds is
    'How long it took; null while it runs. It may differ from the time between start and stop, which stands in for a negative one; 0 where the stop lies before the start then.';
