create or replace view staging.stg_toggl_track__time_entries as
select
    time_entry_id,
    workspace_id,
    user_id,
    user_name,
    project_id,
    task_id,
    description,
    tags,
    tag_ids,
    is_billable,
    started_at,
    stopped_at,
    duration_seconds,
    is_running,
    billable_amount,
    hourly_rate,
    currency,
    source,
    modified_at,
    fetched_at,
    synced_at,
    report_fetched_at
from raw.toggl_track__entries;

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
