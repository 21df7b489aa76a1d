-- Whose entries are kept here: the asking person's own, and those of people whose reports were read.
create or replace view staging.stg_toggl_track__inventory_people as
with inventory as (
    select
        inventory_id, workspace_id, asking_user_id,
        from_date::timestamp at time zone 'UTC'             as first_midnight,
        to_date::timestamp at time zone 'UTC'               as last_midnight,
        (from_date::timestamp + interval '12 hours') at time zone 'UTC' as certain_from,
        (to_date::timestamp + interval '10 hours') at time zone 'UTC'   as certain_to
    from staging.stg_toggl_track__inventories
    where is_arrived and not is_superseded and fault is null
),
person as (
    select
        inventory.*,
        staging.toggl_bigint(item->>'user_id')              as user_id,
        staging.toggl_bigint(item->>'entries')              as entry_count,
        staging.toggl_bigint(item->>'seconds')              as tracked_seconds
    from inventory
    join raw.toggl_track__inventories whole
        on whole.workspace_id = inventory.workspace_id and whole.source_id = inventory.inventory_id
    cross join lateral jsonb_array_elements(staging.toggl_list(whole.data->'users')) as people(item)
),
-- Once for all people.
covered as materialized (
    select resource, workspace_id, user_id, covered_from, covered_to
    from staging.stg_toggl_track__coverage
    where resource in ('time_entries', 'time_entries_report')
)
select
    person.inventory_id,
    person.workspace_id,
    person.user_id,
    person.entry_count,
    person.tracked_seconds,
    coalesce(person.user_id = person.asking_user_id, false) or coalesce(kept.is_whole, false) as is_whole,
    coalesce(kept.is_part, false)                           as is_part
from person
cross join lateral (
    select
        bool_or(covered.covered_from <= person.first_midnight and covered.covered_to >= person.last_midnight)
            as is_whole,
        bool_or(covered.covered_from < person.certain_to and covered.covered_to > person.certain_from) as is_part
    from covered
    where covered.resource = 'time_entries_report' and covered.workspace_id = person.workspace_id
            and (covered.user_id is null or covered.user_id = person.user_id)
        or covered.resource = 'time_entries' and covered.user_id = person.user_id
) kept;

comment on view staging.stg_toggl_track__inventory_people is
    'Who stands in Toggl''s newest inventories, with how much, and whether that person''s entries are read here.';
comment on column staging.stg_toggl_track__inventory_people.inventory_id is 'The inventory: see stg_toggl_track__inventories.';
comment on column staging.stg_toggl_track__inventory_people.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__inventory_people.user_id is 'Toggl''s id of the user; null where Toggl names nobody.';
comment on column staging.stg_toggl_track__inventory_people.entry_count is 'Entries at Toggl; 0 where it told no ids.';
comment on column staging.stg_toggl_track__inventory_people.tracked_seconds is 'How long these take together.';
comment on column staging.stg_toggl_track__inventory_people.is_whole is
    'Whether all days of the inventory were read of this person, so that what is not here is missing.';
comment on column staging.stg_toggl_track__inventory_people.is_part is 'Whether some of them were.';
