-- The history holds what was superseded, and only that. A raw row says since when it is as it is; what it was
-- before stands in the history with the time from which to which it was that. Histories of events, which held
-- every row a second time, are brought over.

-- Every raw table is written anew, once; that takes as long as it takes.
set local statement_timeout = 0;

drop function raw.toggl_track__as_of(text, timestamptz);

do $migration$
declare
    resources constant text[] := array['me', 'workspaces', 'projects', 'clients', 'tags', 'users', 'groups',
        'time_entries', 'time_entries_report', 'tasks', 'project_users', 'workspace_users', 'organizations'];
    resource  text;
    volatile  text[];
    same_key  text;
begin
    -- As of a moment, that event counted which was applied last, of those fetched until then. So each one
    -- held until the earliest fetch among the later ones.
    execute
        'create table raw.toggl_track__events as
         select h.resource, h.source_id, h.workspace_id, h.history_id, h.fetched_at as valid_from,
                next.fetched_at as valid_to, next.kind = ''deleted'' as is_deleted,
                not exists (
                    select from raw.toggl_track__history l
                    where l.resource = h.resource and l.source_id = h.source_id and l.history_id > h.history_id
                        and l.kind <> ''deleted''
                        and (h.resource not in (''users'', ''workspace_users'') or l.workspace_id = h.workspace_id)
                ) as is_last,
                false as is_present
         from raw.toggl_track__history h
         left join lateral (
             select n.fetched_at, n.kind
             from raw.toggl_track__history n
             where n.resource = h.resource and n.source_id = h.source_id and n.history_id > h.history_id
                 and (h.resource not in (''users'', ''workspace_users'') or n.workspace_id = h.workspace_id)
             order by n.fetched_at, n.history_id desc
             limit 1
         ) next on true
         where h.kind <> ''deleted'' and (next.fetched_at is null or h.fetched_at < next.fetched_at)';
    execute 'alter table raw.toggl_track__events add primary key (resource, source_id, history_id)';
    execute 'analyze raw.toggl_track__events';

    foreach resource in array resources loop
        -- A table that somebody dropped has nothing to tell.
        continue when to_regclass(format('raw.toggl_track__%s', resource)) is null;
        volatile := case resource
            when 'me' then '{authorization_updated_at}'
            when 'workspaces' then '{active_project_count,last_modified}'
            when 'projects' then '{actual_hours,actual_seconds,total_count}'
            when 'clients' then '{total_count}'
            when 'tags' then '{total_count}'
            when 'tasks' then '{total_count,tracked_seconds}'
            else '{}'
        end;
        same_key := case when resource in ('users', 'workspace_users')
            then 't.source_id = e.source_id and t.workspace_id = e.workspace_id'
            else 't.source_id = e.source_id'
        end;
        execute format('alter table raw.toggl_track__%s add column valid_from timestamptz', resource);
        -- A new file instead of an old one full of dead rows.
        execute format(
            'alter table raw.toggl_track__%s
                 alter column valid_from type timestamptz using fetched_at,
                 alter column valid_from set default now(),
                 alter column valid_from set not null',
            resource);
        -- The last event of a row that says what the row says is its present version.
        execute format(
            'update raw.toggl_track__events e set is_present = true
             from raw.toggl_track__%1$s t, raw.toggl_track__history h
             where e.resource = %1$L and e.is_last and %2$s
                 and h.resource = e.resource and h.source_id = e.source_id and h.history_id = e.history_id
                 and (e.valid_to is null or e.is_deleted) and (e.valid_to is null) = (t.deleted_at is null)
                 and (h.data - %3$L::text[], h.workspace_id, h.modified_at)
                     is not distinct from (t.data - %3$L::text[], t.workspace_id, t.modified_at)',
            resource, same_key, volatile);
        execute format(
            'update raw.toggl_track__%1$s t set valid_from = e.valid_from
             from raw.toggl_track__events e
             where e.resource = %1$L and e.is_present and %2$s and t.valid_from <> e.valid_from',
            resource, same_key);
        -- Changes that were not recorded replaced what was known last.
        execute format(
            'update raw.toggl_track__events e set valid_to = t.valid_from, is_deleted = false
             from raw.toggl_track__%1$s t
             where e.resource = %1$L and not e.is_present and e.valid_to is null and %2$s',
            resource, same_key);
    end loop;

    execute
        'create table raw.toggl_track__superseded as
         select e.resource, e.source_id, e.workspace_id, e.valid_from, coalesce(e.valid_to, now()) as valid_to,
                coalesce(e.is_deleted, false) as is_deleted, h.data, h.modified_at, h.recorded_at
         from raw.toggl_track__events e
         join raw.toggl_track__history h using (resource, source_id, history_id)
         where not e.is_present and e.valid_from < coalesce(e.valid_to, now())';
    execute 'drop table raw.toggl_track__events';
end $migration$;

truncate raw.toggl_track__history;
alter table raw.toggl_track__history
    drop constraint toggl_track__history_pkey,
    drop column kind,
    drop column fetched_at,
    drop column run_id,
    add column valid_from timestamptz not null,
    add column valid_to timestamptz not null,
    add column is_deleted boolean not null,
    add check (valid_from < valid_to);
do $migration$
begin
    execute
        'insert into raw.toggl_track__history
             (resource, source_id, workspace_id, valid_from, valid_to, is_deleted, data, modified_at, recorded_at)
         select resource, source_id, workspace_id, valid_from, valid_to, is_deleted, data, modified_at, recorded_at
         from raw.toggl_track__superseded';
    execute 'drop table raw.toggl_track__superseded';
end $migration$;
alter table raw.toggl_track__history add primary key (resource, source_id, valid_from, workspace_id);

comment on table raw.toggl_track__history is
    'One row for every version of a raw row that was superseded, written in the transaction that superseded it: what the row was, and from when to when. Of one row these times never overlap. Fields that move without meaning anything (total_count, actual_seconds and the like) make no version; records that came too late to be applied are none.';
comment on column raw.toggl_track__history.history_id is 'Counts upwards in the order in which versions were recorded.';
comment on column raw.toggl_track__history.workspace_id is 'Workspace of the raw row at that time.';
comment on column raw.toggl_track__history.data is 'The record as Toggl sent it.';
comment on column raw.toggl_track__history.valid_from is
    'When Toggl was asked for what brought this version: just before the request was sent.';
comment on column raw.toggl_track__history.valid_to is
    'When Toggl was asked for what replaced it, or since when it was deleted.';
comment on column raw.toggl_track__history.is_deleted is 'Whether it ended by a deletion; else it was replaced.';
comment on column raw.toggl_track__history.recorded_at is
    'When the loader recorded it; later than valid_to where a batch waited, was replayed or was a dead letter.';
do $migration$
declare
    raw_table regclass;
begin
    for raw_table in
        select attrelid::regclass from pg_attribute join pg_class c on c.oid = attrelid
        where relnamespace = 'raw'::regnamespace and relkind = 'r' and attname = 'valid_from'
            and relname <> 'toggl_track__history'
    loop
        execute format('comment on column %s.valid_from is %L', raw_table,
            'The fetch that brought the present version of the row. Older versions are in raw.toggl_track__history.');
    end loop;
end $migration$;

-- All versions of all rows, past and present, by when they were valid.
create view raw.toggl_track__versions as
select resource, source_id, workspace_id, data, modified_at, valid_from, valid_to, is_deleted, true as is_superseded
from raw.toggl_track__history
union all
select 'me', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__me
union all
select 'workspaces', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__workspaces
union all
select 'projects', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__projects
union all
select 'clients', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__clients
union all
select 'tags', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__tags
union all
select 'users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__users
union all
select 'groups', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__groups
union all
select 'time_entries', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__time_entries
union all
select 'time_entries_report', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__time_entries_report
union all
select 'tasks', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__tasks
union all
select 'project_users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__project_users
union all
select 'workspace_users', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__workspace_users
union all
select 'organizations', source_id, workspace_id, data, modified_at, valid_from, deleted_at, deleted_at is not null, false
from raw.toggl_track__organizations;

comment on view raw.toggl_track__versions is
    'Every version of every row that is known: the superseded ones of raw.toggl_track__history and the present ones of the raw tables. Of one row their times never overlap.';
comment on column raw.toggl_track__versions.resource is 'Name of the raw table without raw.toggl_track__.';
comment on column raw.toggl_track__versions.source_id is 'Toggl''s id.';
comment on column raw.toggl_track__versions.workspace_id is 'Workspace of the row.';
comment on column raw.toggl_track__versions.data is 'The record as Toggl sent it.';
comment on column raw.toggl_track__versions.modified_at is 'Toggl''s own time of last change, where the record has one.';
comment on column raw.toggl_track__versions.valid_from is 'When Toggl was asked for what first brought this version.';
comment on column raw.toggl_track__versions.valid_to is
    'When it was replaced or deleted; null while it is valid. Not after valid_from: Toggl brought it as deleted, so that it was never valid.';
comment on column raw.toggl_track__versions.is_deleted is 'Whether it ended by a deletion.';
comment on column raw.toggl_track__versions.is_superseded is 'Whether it stands in the history; else it is the row of the raw table.';

create function raw.toggl_track__as_of(resource text, at timestamptz)
returns table (source_id bigint, workspace_id bigint, data jsonb, modified_at timestamptz, fetched_at timestamptz)
language sql stable parallel safe
begin atomic
    select v.source_id, v.workspace_id, v.data, v.modified_at, v.valid_from
    from raw.toggl_track__versions v
    where v.resource = $1 and v.valid_from <= $2 and (v.valid_to is null or v.valid_to > $2);
end;

comment on function raw.toggl_track__as_of(text, timestamptz) is
    'The live rows of a raw table as they were at a moment, as far as is known by now. A change made at Toggl counts from when it was fetched, a deletion from when a listing lacked the row or Toggl says it happened. Volatile fields (total_count, actual_seconds and the like) are those that the version had last.';

-- What happened to each row, read from its versions.
create view raw.toggl_track__changes as
select resource, source_id, workspace_id, kind, data, modified_at, fetched_at
from (
    select v.*, lag(valid_to) over versions as last_valid_to, lag(is_deleted) over versions as was_deleted
    from raw.toggl_track__versions v
    window versions as (
        partition by resource, source_id,
                     case when resource in ('users', 'workspace_users') then workspace_id end
        order by valid_from, is_superseded desc
    )
) v
cross join lateral (
    -- A version that was replaced unseen ended when its successor, whichever that was, began.
    select case when was_deleted is null then 'created' when was_deleted then 'restored' else 'updated' end as kind,
           case when was_deleted then valid_from else coalesce(last_valid_to, valid_from) end as fetched_at
    where valid_to is null or valid_from < valid_to
    union all
    select 'deleted', valid_to
    where is_deleted and (valid_from < valid_to or was_deleted is null)
) change;

comment on view raw.toggl_track__changes is
    'One row for every change of a row of a raw table that is known: when it came, changed, was deleted, came back. The first version that is known of a row counts as created, also where earlier ones were pruned or not recorded. Fields that move without meaning anything (total_count, actual_seconds and the like) make no row, and records that came too late to be applied have none.';
comment on column raw.toggl_track__changes.resource is 'Name of the raw table without raw.toggl_track__.';
comment on column raw.toggl_track__changes.source_id is 'Toggl''s id.';
comment on column raw.toggl_track__changes.workspace_id is 'Workspace of the row after the change.';
comment on column raw.toggl_track__changes.kind is
    'created: not there before; updated; deleted: gone; restored: there again.';
comment on column raw.toggl_track__changes.data is 'The record after the change; of a deleted one, as it was kept.';
comment on column raw.toggl_track__changes.modified_at is 'Toggl''s own time of last change, where the record has one.';
comment on column raw.toggl_track__changes.fetched_at is
    'When Toggl was asked for what brought the change. What a listing lacks is gone from that listing on; what Toggl itself calls deleted, from when it says.';
