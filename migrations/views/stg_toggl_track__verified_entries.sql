-- Both sides of each inventory, entry by entry. Left out is what was fetched, or found deleted, after Toggl was
-- asked; what runs; and starts on days that are another day elsewhere, unless Toggl names the entry itself.
-- Postgres cannot know how many ids a list holds, and would join millions by comparing all with all: so both
-- sides are put below each other, and grouped.
create or replace view staging.stg_toggl_track__verified_entries as
with inventory as materialized (
    select
        inventory_id, workspace_id, asking_user_id, is_admin, from_date, to_date, fetched_at as asked_at,
        -- The moments that may lie in these days, and those that do, in every time zone there is.
        (from_date::timestamp - interval '14 hours') at time zone 'UTC' as possible_from,
        (from_date::timestamp + interval '12 hours') at time zone 'UTC' as certain_from,
        (to_date::timestamp + interval '10 hours') at time zone 'UTC'   as certain_to,
        (to_date::timestamp + interval '36 hours') at time zone 'UTC'   as possible_to
    from staging.stg_toggl_track__inventories
    where is_arrived and not is_superseded and fault is null and is_by_entry
),
part as materialized (
    select
        inventory.inventory_id,
        staging.toggl_bigint(part.data->>'user_id')         as user_id,
        staging.toggl_list(part.data->'groups')             as groups
    from inventory
    join raw.toggl_track__inventories part
        on part.workspace_id = inventory.workspace_id
        and part.fetched_at = inventory.asked_at
        and part.deleted_at is null
        and part.data->>'inventory_id' = inventory.inventory_id::text
),
-- Whose entries are kept here: the asking person's own, and whose reports were read.
kept as materialized (
    select
        inventory.inventory_id,
        person.user_id,
        coalesce(person.user_id = inventory.asking_user_id, false)
            or coalesce(bool_or(covered.covered_from <= inventory.from_date::timestamp at time zone 'UTC'
                and covered.covered_to >= inventory.to_date::timestamp at time zone 'UTC'), false) as is_whole,
        coalesce(bool_or(covered.covered_from < inventory.certain_to
            and covered.covered_to > inventory.certain_from), false) as is_part
    from inventory
    join (select distinct inventory_id, user_id from part) person using (inventory_id)
    left join staging.stg_toggl_track__coverage covered
        on covered.resource = 'time_entries_report' and covered.workspace_id = inventory.workspace_id
            and (covered.user_id is null or covered.user_id = person.user_id)
        or covered.resource = 'time_entries' and covered.user_id = person.user_id
    group by inventory.inventory_id, person.user_id, inventory.asking_user_id
),
-- What is said of a group stands at its first entry.
listed as (
    select
        part.inventory_id,
        staging.toggl_bigint(told.id)                       as time_entry_id,
        part.user_id,
        staging.toggl_bigint(item->>'key')                  as group_key,
        case when told.place = 1 then staging.toggl_bigint(item->>'seconds') else 0 end as seconds,
        case when told.place = 1 then (
            select sum(staging.toggl_numeric(rate->>'billable_seconds')
                       * staging.toggl_numeric(rate->>'hourly_rate_in_cents')) / 360000
            from jsonb_array_elements(staging.toggl_list(item->'rates')) as rates(rate)
        ) end                                               as amount,
        kept.is_whole,
        kept.is_part
    from part
    join kept on kept.inventory_id = part.inventory_id and kept.user_id is not distinct from part.user_id
    cross join lateral jsonb_array_elements(part.groups) as items(item)
    cross join lateral jsonb_array_elements_text(staging.toggl_list(item->'ids'))
        with ordinality as told(id, place)
),
stored as materialized (
    select
        entry.time_entry_id,
        entry.workspace_id,
        entry.user_id,
        entry.started_at,
        entry.duration_seconds,
        entry.is_running,
        entry.billable_amount,
        entry.report_fetched_at is not null                 as has_amount,
        greatest(entry.fetched_at, entry.report_fetched_at) as known_at
    from staging.stg_toggl_track__time_entries entry
    where entry.workspace_id in (select inventory.workspace_id from inventory)
),
both_sides as (
    select
        inventory_id, time_entry_id, user_id as told_user_id, group_key, seconds, amount, is_whole, is_part,
        true as is_told, false as is_stored, null::bigint as stored_user_id, null::timestamptz as started_at,
        null::bigint as duration_seconds, null::numeric as stored_amount, null::boolean as has_amount,
        null::boolean as is_newer, null::boolean as is_certain
    from listed
    union all
    select
        inventory.inventory_id, stored.time_entry_id, null, null, null, null, null, null,
        false, true, stored.user_id, stored.started_at, stored.duration_seconds, stored.billable_amount,
        stored.has_amount, stored.known_at > inventory.asked_at,
        not stored.is_running and stored.started_at >= inventory.certain_from
            and stored.started_at < inventory.certain_to
            and (inventory.is_admin or coalesce(stored.user_id = inventory.asking_user_id, false))
    from inventory
    join stored on stored.workspace_id = inventory.workspace_id
        and stored.started_at >= inventory.possible_from
        and stored.started_at < inventory.possible_to
),
entry as (
    select
        inventory_id,
        time_entry_id,
        max(told_user_id)                                   as told_user_id,
        max(group_key)                                      as group_key,
        max(seconds)                                        as seconds,
        max(amount)                                         as amount,
        bool_or(is_whole)                                   as is_whole,
        bool_or(is_part)                                    as is_part,
        bool_or(is_told)                                    as is_told,
        bool_or(is_stored)                                  as is_stored,
        max(stored_user_id)                                 as stored_user_id,
        max(started_at)                                     as started_at,
        max(duration_seconds)                               as duration_seconds,
        max(stored_amount)                                  as stored_amount,
        bool_or(has_amount)                                 as has_amount,
        bool_or(is_newer)                                   as is_newer
    from both_sides
    group by inventory_id, time_entry_id
    having bool_or(is_told) or bool_or(is_certain)
),
met as (
    select
        entry.*,
        inventory.workspace_id,
        inventory.from_date,
        inventory.to_date,
        inventory.asked_at,
        case
            when entry.is_stored then case
                when entry.is_newer then 'left out'
                when not entry.is_told then 'gone'
                when entry.stored_user_id is distinct from entry.told_user_id then 'other user'
            end
            when exists (
                select from raw.toggl_track__time_entries_report report
                where report.source_id = entry.time_entry_id
                    and greatest(report.fetched_at, report.deleted_at) > inventory.asked_at
            ) or exists (
                select from raw.toggl_track__time_entries own
                where own.source_id = entry.time_entry_id
                    and greatest(own.fetched_at, own.deleted_at) > inventory.asked_at
            ) then 'left out'
            when entry.is_whole then 'missing'
            when entry.is_part then 'unproven'
            else 'not kept'
        end                                                 as own_state
    from entry
    join inventory using (inventory_id)
),
grouped as (
    select
        met.*,
        count(*) over same_group                            as group_entry_count,
        (sum(seconds) over same_group)::bigint              as group_seconds,
        coalesce(sum(duration_seconds) over same_group, 0)::bigint as group_stored_seconds,
        sum(amount) over same_group                         as group_amount,
        coalesce(sum(stored_amount) over same_group, 0)     as group_stored_amount,
        bool_and(coalesce(has_amount, false)) over same_group as group_has_amounts,
        bool_or(own_state is not null) over same_group      as is_open
    from met
    window same_group as (partition by inventory_id, told_user_id, group_key)
)
select
    inventory_id,
    workspace_id,
    from_date,
    to_date,
    asked_at,
    case when is_told then told_user_id else stored_user_id end as user_id,
    stored_user_id,
    time_entry_id,
    coalesce(own_state, case
        when is_open then 'undecided'
        when group_stored_seconds <> group_seconds then 'other seconds'
        when group_has_amounts and abs(group_stored_amount - group_amount) > 0.01 * group_entry_count
            then 'other amount'
        else 'equal'
    end)                                                    as state,
    case when is_told then group_entry_count else 1 end     as group_entry_count,
    case when is_told then group_seconds end                as group_seconds,
    case when is_told then group_stored_seconds else duration_seconds end as group_stored_seconds,
    duration_seconds,
    started_at
from grouped;

comment on view staging.stg_toggl_track__verified_entries is
    'Toggl''s newest inventories beside the view of all time entries, one row for each entry that either has. Who looks for what differs asks for the rows whose state is missing, gone or other….';
comment on column staging.stg_toggl_track__verified_entries.inventory_id is 'The inventory: see stg_toggl_track__inventories.';
comment on column staging.stg_toggl_track__verified_entries.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__verified_entries.from_date is 'First day of the inventory.';
comment on column staging.stg_toggl_track__verified_entries.to_date is 'Last day of the inventory, inclusive.';
comment on column staging.stg_toggl_track__verified_entries.asked_at is 'When Toggl was asked for it.';
comment on column staging.stg_toggl_track__verified_entries.user_id is
    'Toggl''s id of the user whose entry it is by the inventory; by the tables where that lacks it.';
comment on column staging.stg_toggl_track__verified_entries.stored_user_id is
    'The same by the tables; null where they lack it.';
comment on column staging.stg_toggl_track__verified_entries.time_entry_id is 'Toggl''s id of the entry.';
comment on column staging.stg_toggl_track__verified_entries.state is
    'equal; missing (at Toggl and not here); gone (here and not at Toggl); other user, other seconds, other amount; left out (changed here since Toggl was asked); undecided (of a group of which another entry is open); unproven (not here, and only a part of the person''s days was ever read); not kept (this person''s entries are not read).';
comment on column staging.stg_toggl_track__verified_entries.group_entry_count is
    'Toggl puts entries of one description together and gives their sum: how many they are.';
comment on column staging.stg_toggl_track__verified_entries.group_seconds is 'What Toggl says of the group; null where it lacks the entry.';
comment on column staging.stg_toggl_track__verified_entries.group_stored_seconds is 'What the tables say of the group.';
comment on column staging.stg_toggl_track__verified_entries.duration_seconds is 'How long the entry took, by the tables.';
comment on column staging.stg_toggl_track__verified_entries.started_at is 'Its start, by the tables.';
