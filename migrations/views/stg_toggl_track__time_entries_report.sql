create or replace view staging.stg_toggl_track__time_entries_report as
select
    entry.time_entry_id,
    entry.workspace_id,
    entry.user_id,
    entry.user_name,
    entry.project_id,
    entry.task_id,
    entry.description,
    array_remove(array(
        select (
            select tag.data->>'name'
            from raw.toggl_track__tags tag
            where tag.source_id = staging.toggl_bigint(own.tag_id)
        )
        from jsonb_array_elements_text(staging.toggl_list(entry.data->'tag_ids')) as own(tag_id)
    ), null)                                                as tags,
    entry.tag_ids,
    entry.is_billable,
    entry.started_at,
    entry.stopped_at,
    entry.duration_seconds,
    entry.is_running,
    entry.billable_amount,
    entry.hourly_rate,
    entry.currency,
    entry.modified_at,
    entry.fetched_at,
    entry.synced_at
from raw.toggl_track__report_entries entry
where entry.deleted_at is null
    and entry.workspace_id <> all (array(
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
