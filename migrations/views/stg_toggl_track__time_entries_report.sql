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

comment on view staging.stg_toggl_track__time_entries_report is
    'Time entries as reports show them, one row each. Beside those of time_entries: other people''s, and old ones.';
comment on column staging.stg_toggl_track__time_entries_report.time_entry_id is
    'Toggl''s id of the entry, the same in all its interfaces.';
comment on column staging.stg_toggl_track__time_entries_report.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__time_entries_report.user_id is 'Toggl''s id of the user whose entry it is.';
comment on column staging.stg_toggl_track__time_entries_report.user_name is 'The user''s name, as reports have it.';
comment on column staging.stg_toggl_track__time_entries_report.project_id is
    'Toggl''s id of the project; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__time_entries_report.task_id is
    'Toggl''s id of the task; null where it has none, or none any more.';
comment on column staging.stg_toggl_track__time_entries_report.description is 'What was worked on.';
comment on column staging.stg_toggl_track__time_entries_report.tags is
    'Names of the tags; empty where it has none. Reports have the ids alone: of these, a tag that is not in the raw tables is left out.';
comment on column staging.stg_toggl_track__time_entries_report.tag_ids is
    'Toggl''s ids of the tags; empty where it has none.';
comment on column staging.stg_toggl_track__time_entries_report.is_billable is 'Whether it is billable.';
comment on column staging.stg_toggl_track__time_entries_report.started_at is 'Its start.';
comment on column staging.stg_toggl_track__time_entries_report.stopped_at is 'Its end; null while it runs.';
comment on column staging.stg_toggl_track__time_entries_report.duration_seconds is
    'How long it took; null while it runs. It may differ from the time between start and stop, which stands in for a negative one; 0 where the stop lies before the start then.';
comment on column staging.stg_toggl_track__time_entries_report.is_running is
    'Whether it was running when it was fetched: it has no stop.';
comment on column staging.stg_toggl_track__time_entries_report.billable_amount is
    'Its price, in units of the currency (not in cents). Where a report row held several entries, its part of the row''s price, by seconds.';
comment on column staging.stg_toggl_track__time_entries_report.hourly_rate is
    'Price of an hour, in units of the currency (not in cents).';
comment on column staging.stg_toggl_track__time_entries_report.currency is 'Currency of the amounts.';
comment on column staging.stg_toggl_track__time_entries_report.modified_at is
    'When it was last changed, by Toggl''s account.';
comment on column staging.stg_toggl_track__time_entries_report.fetched_at is
    'When Toggl was asked for this form of it; it may have been seen unchanged since.';
comment on column staging.stg_toggl_track__time_entries_report.synced_at is 'When the loader last wrote its row.';
