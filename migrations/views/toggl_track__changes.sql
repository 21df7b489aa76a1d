-- What happened to each row, read from its versions.
create or replace view raw.toggl_track__changes as
select resource, source_id, workspace_id, kind, data, modified_at, fetched_at
from (
    select v.*, lag(valid_to) over versions as last_valid_to, lag(is_deleted) over versions as was_deleted
    from raw.toggl_track__versions v
    window versions as (
        partition by resource, source_id,
                     case when resource in ('users', 'workspace_users', 'inventories') then workspace_id end
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
