-- Read from the copy, which has everything in columns; what was touched since is read from the raw tables.
create or replace view raw.toggl_track__entries as
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
    entry.report_fetched_at,
    entry.local_day,
    entry.more_days
from (
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags,
        tag_ids, is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount,
        hourly_rate, currency, source, modified_at, fetched_at, synced_at, report_fetched_at, local_day,
        more_days
    from raw.toggl_track__typed_entries typed
    where not exists (
        select from raw.toggl_track__touched touched, unnest(touched.ids) as id
        where id = typed.time_entry_id
    )
    union all
    select
        time_entry_id, workspace_id, user_id, user_name, project_id, task_id, description, told_tags,
        tag_ids, is_billable, started_at, stopped_at, duration_seconds, is_running, billable_amount,
        hourly_rate, currency, source, modified_at, fetched_at, synced_at, report_fetched_at, null, null
    from raw.toggl_track__touched_entries
) entry
where not exists (
    select from raw.toggl_track__workspaces left_workspace
    where left_workspace.source_id = entry.workspace_id and left_workspace.deleted_at is not null
);

comment on view raw.toggl_track__entries is
    'All time entries, one row each, as the view of them in the schema staging has them; with the local days that the copy has.';
comment on column raw.toggl_track__entries.local_day is
    'The local day of its start as it was copied; null where it has not been copied, is running, names no workspace or no person, or where start or end cannot be read.';
comment on column raw.toggl_track__entries.more_days is 'On how many local days after that it goes on, likewise.';
