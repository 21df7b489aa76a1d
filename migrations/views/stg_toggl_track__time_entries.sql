-- Read from the copy, which has everything in columns; what was touched since is read from the raw tables.
create or replace view staging.stg_toggl_track__time_entries as
select
    entry.time_entry_id,
    entry.workspace_id,
    entry.user_id,
    entry.user_name,
    entry.project_id,
    entry.task_id,
    entry.description,
    case
        when entry.told_tags is not null then array(
            select own.tag_name
            from unnest(entry.told_tags) with ordinality as own(tag_name, place)
            -- A tag that was deleted lingers in entries that have not been read since.
            where (entry.workspace_id || ' ' || own.tag_name) <> all (array(
                select gone.workspace_id || ' ' || (gone.data->>'name')
                from raw.toggl_track__tags gone
                where gone.deleted_at is not null and gone.data->>'name' is not null
                except
                select tag.workspace_id || ' ' || (tag.data->>'name')
                from raw.toggl_track__tags tag
                where tag.deleted_at is null and tag.data->>'name' is not null
            )) is not false
            order by own.place
        )
        else array_remove(array(
            select (
                select tag.data->>'name'
                from raw.toggl_track__tags tag
                where tag.source_id = own.tag_id and tag.deleted_at is null
            )
            from unnest(entry.tag_ids) with ordinality as own(tag_id, place)
            order by own.place
        ), null)
    end                                                     as tags,
    entry.tag_ids,
    entry.is_billable,
    entry.started_at,
    entry.stopped_at,
    entry.duration_seconds,
    entry.is_running,
    entry.billable_amount,
    entry.hourly_rate,
    entry.currency,
    entry.source,
    entry.modified_at,
    entry.fetched_at,
    entry.synced_at,
    entry.report_fetched_at
from (
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags,
        tag_ids, is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount,
        hourly_rate, currency, source, modified_at, fetched_at, synced_at, report_fetched_at
    from raw.toggl_track__typed_entries typed
    where not exists (
        select from raw.toggl_track__touched touched, unnest(touched.ids) as id
        where id = typed.time_entry_id
    )
    union all
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags,
        tag_ids, is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount,
        hourly_rate, currency, source, modified_at, fetched_at, synced_at, report_fetched_at
    from raw.toggl_track__touched_entries
) entry
where not exists (
    select from raw.toggl_track__workspaces left_workspace
    where left_workspace.source_id = entry.workspace_id and left_workspace.deleted_at is not null
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
