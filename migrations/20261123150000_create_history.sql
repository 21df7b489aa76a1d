-- Every change that was applied to a raw row, and what a table held at a moment of the past.

-- Old rows are copied below; that takes as long as it takes.
set local statement_timeout = 0;

create table raw.toggl_track__history (
    resource     text        not null,
    source_id    bigint      not null,
    history_id   bigint      not null generated always as identity,
    workspace_id bigint      not null,
    kind         text        not null check (kind in ('created', 'updated', 'deleted', 'restored')),
    data         jsonb       not null,
    modified_at  timestamptz,
    fetched_at   timestamptz not null,
    recorded_at  timestamptz not null default now(),
    run_id       uuid
);

-- What happened before is not known: history begins with the rows as they are. A deleted row was live
-- when its data was fetched, unless Toggl itself said in that answer that it is gone.
do $$
declare
    tables constant text[] := array['me', 'workspaces', 'projects', 'clients', 'tags', 'users', 'groups',
        'time_entries', 'time_entries_report', 'tasks', 'project_users', 'workspace_users', 'organizations'];
    resource text;
begin
    foreach resource in array tables loop
        -- A table that somebody dropped has nothing to tell.
        continue when to_regclass(format('raw.toggl_track__%s', resource)) is null;
        execute format(
            'insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, kind, data, modified_at, fetched_at)
             select %L, source_id, workspace_id, ''created'', data, modified_at, fetched_at
             from raw.toggl_track__%1$s
             where deleted_at is null or deleted_at > fetched_at',
            resource);
        -- In a statement of its own, for the order of changes.
        execute format(
            'insert into raw.toggl_track__history
                 (resource, source_id, workspace_id, kind, data, modified_at, fetched_at)
             select %L, source_id, workspace_id, ''deleted'', data, modified_at,
                    greatest(fetched_at, case when deleted_at <= now() then deleted_at end)
             from raw.toggl_track__%1$s
             where deleted_at is not null',
            resource);
    end loop;
end $$;

alter table raw.toggl_track__history add primary key (resource, source_id, history_id);

comment on table raw.toggl_track__history is
    'One row for every change that was applied to a row of a raw table, written in the transaction that applied it. Fields that move without meaning anything (total_count, actual_seconds and the like) make no row; records that came too late to be applied have none.';
comment on column raw.toggl_track__history.resource is 'Name of the raw table without raw.toggl_track__.';
comment on column raw.toggl_track__history.source_id is 'Toggl''s id.';
comment on column raw.toggl_track__history.history_id is 'The order of changes: of two changes of a row, the later one has the greater id. Others leave gaps.';
comment on column raw.toggl_track__history.workspace_id is 'Workspace of the raw row after the change.';
comment on column raw.toggl_track__history.kind is
    'created: not there before; updated; deleted: gone, at its first sight where a newer listing lacked it already; restored: there again.';
comment on column raw.toggl_track__history.data is 'The record after the change; of a deleted one, as it was kept.';
comment on column raw.toggl_track__history.modified_at is 'Toggl''s own time of last change, where the record has one.';
comment on column raw.toggl_track__history.fetched_at is
    'When Toggl was asked for what brought the change: just before the request was sent. What a listing lacks is gone from that listing on.';
comment on column raw.toggl_track__history.recorded_at is
    'When the loader recorded the change; later than fetched_at where a batch waited, was replayed or was a dead letter.';
comment on column raw.toggl_track__history.run_id is
    'The fetcher''s run (UUID v7), as in raw.toggl_track__loads; null for rows that are older than the history.';

-- Of the changes fetched by then the last one counts, by the order in which they were applied: that is the
-- order of versions, of which fetched_at is the second half only. So the newest answer is the raw table's.
create function raw.toggl_track__as_of(resource text, at timestamptz)
returns table (source_id bigint, workspace_id bigint, data jsonb, modified_at timestamptz, fetched_at timestamptz)
language sql stable parallel safe
begin atomic
    select newest.source_id, newest.workspace_id, newest.data, newest.modified_at, newest.fetched_at
    from (
        select distinct on (h.source_id, part_of_key.workspace_id)
            h.source_id, h.workspace_id, h.kind, h.data, h.modified_at, h.fetched_at
        from raw.toggl_track__history h
        cross join lateral (
            select case when $1 in ('users', 'workspace_users') then h.workspace_id end as workspace_id
        ) part_of_key
        where h.resource = $1 and h.fetched_at <= $2
        order by h.source_id desc, part_of_key.workspace_id desc, h.history_id desc
    ) newest
    where newest.kind <> 'deleted';
end;

comment on function raw.toggl_track__as_of(text, timestamptz) is
    'The live rows of a raw table as they were known at a moment: by what had been fetched until then, whenever it was loaded. A change made at Toggl counts from when it was fetched. Volatile fields (total_count, actual_seconds and the like) are those of the last change.';
