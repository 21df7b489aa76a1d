-- The rows of reports in columns, those that are deleted, too: what reads reports stands on this.
create or replace view raw.toggl_track__report_entries as
select
    t.source_id                                             as time_entry_id,
    t.workspace_id,
    coalesce(t.user_id, staging.toggl_bigint(t.data->>'user_id')) as user_id,
    nullif(t.data->>'username', '')                         as user_name,
    staging.toggl_bigint(t.data->>'project_id')             as project_id,
    staging.toggl_bigint(t.data->>'task_id')                as task_id,
    nullif(t.data->>'description', '')                      as description,
    array_remove(array(
        select staging.toggl_bigint(own.tag_id)
        from jsonb_array_elements_text(staging.toggl_list(t.data->'tag_ids')) as own(tag_id)
    ), null)                                                as tag_ids,
    staging.toggl_boolean(t.data->>'billable')              as is_billable,
    coalesce(t.started_at, staging.toggl_timestamp(t.data->>'start')) as started_at,
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
    t.synced_at,
    t.deleted_at,
    t.data
from raw.toggl_track__time_entries_report t
cross join lateral (
    select
        coalesce(t.data->>'stop', '') = '' as is_running,
        staging.toggl_numeric(t.data->>'billable_amount_in_cents') * 0.01 as row_amount
) entry;

comment on view raw.toggl_track__report_entries is
    'Time entries as reports show them, one row each, in columns: deleted ones and those of workspaces that were left, too.';
