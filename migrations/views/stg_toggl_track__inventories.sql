-- The rows of an inventory travel in several messages: it counts once all of them are here. The names of those
-- who were forgotten are gone from the list of people, and their rows with them.
create or replace view staging.stg_toggl_track__inventories as
with inventory as (
    select
        t.source_id                                         as inventory_id,
        t.workspace_id,
        staging.toggl_bigint(t.data->>'asking_user_id')     as asking_user_id,
        staging.toggl_boolean(t.data->>'is_admin')          as is_admin,
        staging.toggl_date(t.data->>'from')                 as from_date,
        staging.toggl_date(t.data->>'to')                   as to_date,
        staging.toggl_boolean(t.data->>'has_ids')           as is_by_entry,
        people.user_count,
        people.row_count,
        people.entry_count,
        people.tracked_seconds,
        nullif(t.data->>'fault', '')                        as fault,
        t.fetched_at,
        t.synced_at
    from raw.toggl_track__inventories t
    cross join lateral (
        select
            count(*)                                        as user_count,
            coalesce(sum(staging.toggl_bigint(person->>'rows')), 0)::bigint    as row_count,
            coalesce(sum(staging.toggl_bigint(person->>'entries')), 0)::bigint as entry_count,
            coalesce(sum(staging.toggl_bigint(person->>'seconds')), 0)::bigint as tracked_seconds
        from jsonb_array_elements(staging.toggl_list(t.data->'users')) as people(person)
    ) people
    where t.deleted_at is null
        and jsonb_typeof(t.data->'users') = 'array'
        and t.workspace_id <> all (array(
            select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
            where left_workspace.deleted_at is not null
        ))
)
select
    inventory_id,
    workspace_id,
    asking_user_id,
    is_admin,
    from_date,
    to_date,
    is_by_entry,
    row_count = (
        select count(*) from raw.toggl_track__inventories part
        where part.workspace_id = inventory.workspace_id
            and part.fetched_at = inventory.fetched_at
            and part.deleted_at is null
            and part.data->>'inventory_id' = inventory.inventory_id::text
    )                                                       as is_arrived,
    coalesce((
        select range_agg(daterange(newer.from_date, newer.to_date, '[]'))
        from inventory newer
        where newer.workspace_id = inventory.workspace_id
            and newer.inventory_id <> inventory.inventory_id
            and (newer.fetched_at, newer.inventory_id) > (inventory.fetched_at, inventory.inventory_id)
            and newer.from_date <= inventory.to_date
            and newer.to_date >= inventory.from_date
            and newer.from_date <= newer.to_date
            and (newer.is_admin or newer.asking_user_id = inventory.asking_user_id)
    ) @> case
        when inventory.from_date <= inventory.to_date then daterange(inventory.from_date, inventory.to_date, '[]')
    end, false)                                             as is_superseded,
    user_count,
    entry_count,
    tracked_seconds,
    fault,
    fetched_at,
    synced_at
from inventory;

comment on view staging.stg_toggl_track__inventories is
    'Inventories of Toggl: how many entries of which people it counted in a span of days, and for how long. stg_toggl_track__verification holds them against the tables.';
comment on column staging.stg_toggl_track__inventories.inventory_id is 'Names the inventory of this span, workspace and account.';
comment on column staging.stg_toggl_track__inventories.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__inventories.asking_user_id is
    'Toggl''s id of the user whose token asked; null where that person was forgotten.';
comment on column staging.stg_toggl_track__inventories.is_admin is
    'Whether that user is an admin of the workspace: others are told of their own entries.';
comment on column staging.stg_toggl_track__inventories.from_date is 'First day, by the clock of whose entry it is.';
comment on column staging.stg_toggl_track__inventories.to_date is 'Last day, inclusive.';
comment on column staging.stg_toggl_track__inventories.is_by_entry is
    'Whether Toggl told the ids of the entries; else only sums by person and project.';
comment on column staging.stg_toggl_track__inventories.is_arrived is 'Whether all rows of it are here.';
comment on column staging.stg_toggl_track__inventories.is_superseded is
    'Whether newer ones hold all of its days: it is not looked at any more.';
comment on column staging.stg_toggl_track__inventories.user_count is 'People with entries in it.';
comment on column staging.stg_toggl_track__inventories.entry_count is 'Their entries; 0 where Toggl told no ids.';
comment on column staging.stg_toggl_track__inventories.tracked_seconds is 'How long these took together.';
comment on column staging.stg_toggl_track__inventories.fault is
    'Why the answer proves nothing; null where it does.';
comment on column staging.stg_toggl_track__inventories.fetched_at is 'When Toggl was asked.';
comment on column staging.stg_toggl_track__inventories.synced_at is 'When the loader last wrote its row.';
