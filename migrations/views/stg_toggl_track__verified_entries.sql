-- Both sides of each inventory, entry by entry. Left out is what runs; and what was fetched, or found deleted, after
-- Toggl was asked, unless it is what the inventory says all the same.
-- Which day a start lies on depends on the clock of whose entry it is. What lies in an inventory's days in every
-- time zone has to be in it; what lies in the hours that are the last day of one inventory here, and the first day of
-- the next one there, has to be in either. Else Toggl lacks it.
-- Where several inventories speak of an entry the newest counts, so that each entry is told of once.
-- No price at Toggl is one of nothing only where an admin was told the prices of others: a plan may have none, and
-- not everybody may see them.
-- Postgres cannot know how many ids a list holds, and would join millions by comparing all with all: so both
-- sides are put below each other, and grouped.
create or replace view staging.stg_toggl_track__verified_entries as
with span as materialized (
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
-- With the hours between it and the one of the days before, where there is one that tells of the same people.
inventory as materialized (
    select
        span.*,
        greatest(before.certain_from, before.certain_to)    as between_from,
        least(span.certain_from, span.certain_to)           as between_to,
        least(span.asked_at, before.asked_at)               as between_asked_at
    from span
    left join lateral (
        select other.certain_from, other.certain_to, other.asked_at
        from span other
        where other.workspace_id = span.workspace_id
            and other.from_date < span.from_date
            and other.to_date between span.from_date - 1 and span.to_date - 1
            and (other.is_admin or other.asking_user_id = span.asking_user_id and not span.is_admin)
        order by other.asked_at desc, other.inventory_id
        limit 1
    ) before on true
),
part as materialized (
    select
        inventory.inventory_id,
        staging.toggl_bigint(part.data->>'user_id')         as user_id,
        staging.toggl_list(part.data->'groups')             as groups,
        inventory.is_admin and bool_or(jsonb_path_exists(
            part.data, '$.groups[*].rates[*] ? (@.billable_seconds > 0 && @.hourly_rate_in_cents > 0)'
        )) over (partition by inventory.inventory_id)       as tells_prices
    from inventory
    join raw.toggl_track__inventories part
        on part.workspace_id = inventory.workspace_id
        and part.fetched_at = inventory.asked_at
        and part.deleted_at is null
        and part.data->>'inventory_id' = inventory.inventory_id::text
),
person as materialized (
    select people.inventory_id, people.user_id, people.is_whole, people.is_part
    from staging.stg_toggl_track__inventory_people people
    where people.inventory_id in (select inventory.inventory_id from inventory)
),
-- What is said of a group stands at its first entry.
listed as (
    select
        part.inventory_id,
        staging.toggl_bigint(told.id)                       as time_entry_id,
        part.user_id,
        staging.toggl_bigint(item->>'key')                  as group_key,
        case when told.place = 1 then staging.toggl_bigint(item->>'seconds') else 0 end as seconds,
        case when told.place = 1 then case
            when rates.list <> '[]' then (
                select sum(staging.toggl_numeric(rate->>'billable_seconds')
                           * staging.toggl_numeric(rate->>'hourly_rate_in_cents')) / 360000
                from jsonb_array_elements(rates.list) as own(rate)
            )
            -- Rates stand at the first part of a group.
            when told.id = item->>'key' and part.tells_prices then 0
        end end                                             as amount,
        person.is_whole,
        person.is_part
    from part
    join person on person.inventory_id = part.inventory_id and person.user_id is not distinct from part.user_id
    cross join lateral jsonb_array_elements(part.groups) as items(item)
    cross join lateral jsonb_array_elements_text(staging.toggl_list(item->'ids'))
        with ordinality as told(id, place)
    cross join lateral (select staging.toggl_list(item->'rates') as list) rates
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
        null::timestamptz as known_at, null::boolean as is_certain, null::boolean as is_between
    from listed
    union all
    select
        inventory.inventory_id, stored.time_entry_id, null, null, null, null, null, null,
        false, true, stored.user_id, stored.started_at, stored.duration_seconds, stored.billable_amount,
        stored.has_amount, stored.known_at,
        seen.is_seen and stored.started_at >= inventory.certain_from and stored.started_at < inventory.certain_to,
        seen.is_seen and stored.started_at >= inventory.between_from and stored.started_at < inventory.between_to
    from inventory
    join stored on stored.workspace_id = inventory.workspace_id
        and stored.started_at >= inventory.possible_from
        and stored.started_at < inventory.possible_to
    cross join lateral (
        select not stored.is_running
            and (inventory.is_admin or coalesce(stored.user_id = inventory.asking_user_id, false)) as is_seen
    ) seen
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
        bool_or(is_stored)                                  as is_stored_there,
        max(stored_user_id)                                 as stored_user_id,
        max(started_at)                                     as started_at,
        max(duration_seconds)                               as duration_seconds,
        max(stored_amount)                                  as stored_amount,
        bool_or(has_amount)                                 as has_amount,
        max(known_at)                                       as known_at,
        bool_or(is_told) or bool_or(is_certain)             as is_sure
    from both_sides
    group by inventory_id, time_entry_id
    having bool_or(is_told) or bool_or(is_certain) or bool_or(is_between)
),
judged as (
    select
        entry.*,
        inventory.workspace_id,
        inventory.from_date,
        inventory.to_date,
        inventory.asked_at,
        case when entry.is_sure then inventory.asked_at else inventory.between_asked_at end as judged_at
    from entry
    join inventory using (inventory_id)
),
-- An entry that was moved is stored in the days of another inventory than the one that tells of it.
met as (
    select
        inventory_id, workspace_id, from_date, to_date, asked_at, judged_at, time_entry_id, told_user_id, group_key,
        seconds, amount, is_whole, is_part, is_told, is_stored_there,
        max(stored_user_id) over same_entry                 as stored_user_id,
        max(started_at) over same_entry                     as started_at,
        max(duration_seconds) over same_entry               as duration_seconds,
        max(stored_amount) over same_entry                  as stored_amount,
        bool_or(has_amount) over same_entry                 as has_amount,
        max(known_at) over same_entry                       as known_at,
        row_number() over (same_entry order by judged_at desc, is_told desc, inventory_id) = 1 as is_newest
    from judged
    window same_entry as (partition by workspace_id, time_entry_id)
),
stated as (
    select
        met.*,
        coalesce(known_at > judged_at, false)               as is_newer,
        case
            when known_at is null then case
                when exists (
                    select from raw.toggl_track__time_entries_report report
                    where report.source_id = met.time_entry_id
                        and greatest(report.fetched_at, report.deleted_at) > met.asked_at
                ) or exists (
                    select from raw.toggl_track__time_entries own
                    where own.source_id = met.time_entry_id
                        and greatest(own.fetched_at, own.deleted_at) > met.asked_at
                ) then 'left out'
                when is_whole then 'missing'
                when is_part then 'unproven'
                else 'not kept'
            end
            when is_told and is_stored_there and stored_user_id is not distinct from told_user_id then null
            when known_at > judged_at then 'left out'
            when not is_told then 'gone'
            when stored_user_id is distinct from told_user_id then 'other user'
            else 'other day'
        end                                                 as own_state
    from met
),
grouped as (
    select
        stated.*,
        count(*) over same_group                            as group_entry_count,
        (sum(seconds) over same_group)::bigint              as group_seconds,
        coalesce(sum(duration_seconds) over same_group, 0)::bigint as group_stored_seconds,
        sum(amount) over same_group                         as group_amount,
        coalesce(sum(stored_amount) over same_group, 0)     as group_stored_amount,
        bool_and(coalesce(has_amount, false)) over same_group as group_has_amounts,
        bool_or(own_state is not null) over same_group      as is_open,
        bool_or(is_newer) over same_group                   as has_newer
    from stated
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
        when group_stored_seconds = group_seconds and not is_of_other_amount then 'equal'
        when is_newer then 'left out'
        when has_newer then 'undecided'
        when group_stored_seconds <> group_seconds then 'other seconds'
        else 'other amount'
    end)                                                    as state,
    case when is_told then group_entry_count else 1 end     as group_entry_count,
    case when is_told then group_seconds end                as group_seconds,
    case when is_told then group_stored_seconds else duration_seconds end as group_stored_seconds,
    duration_seconds,
    started_at,
    -- Of a group that two inventories share each has its own part, if the sums agree.
    case when is_told then
        case when group_stored_seconds = group_seconds then coalesce(duration_seconds, 0) else seconds end
    end                                                     as told_seconds
from grouped
cross join lateral (
    select coalesce(
        group_has_amounts and abs(group_stored_amount - group_amount) > 0.01 * group_entry_count, false
    ) as is_of_other_amount
) price
where is_newest;

comment on view staging.stg_toggl_track__verified_entries is
    'Toggl''s newest inventories beside the view of all time entries, one row for each entry that either has. Where several speak of an entry the newest counts. Who looks for what differs asks for the rows whose state is missing, gone or other….';
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
    'equal; missing (at Toggl and not here); gone (here and not at Toggl); other user, other day (it starts in the days of another inventory), other seconds, other amount; left out (changed here since Toggl was asked, and not what it said); undecided (of a group of which another entry is open); unproven (not here, and only a part of the person''s days was ever read); not kept (this person''s entries are not read).';
comment on column staging.stg_toggl_track__verified_entries.group_entry_count is
    'Toggl puts entries of one description together and gives their sum: how many they are.';
comment on column staging.stg_toggl_track__verified_entries.group_seconds is 'What Toggl says of the group; null where it lacks the entry.';
comment on column staging.stg_toggl_track__verified_entries.group_stored_seconds is 'What the tables say of the group.';
comment on column staging.stg_toggl_track__verified_entries.duration_seconds is 'How long the entry took, by the tables.';
comment on column staging.stg_toggl_track__verified_entries.started_at is 'Its start, by the tables.';
comment on column staging.stg_toggl_track__verified_entries.told_seconds is
    'Its part of what Toggl says: of a group whose sum differs all at one entry; null where the inventory lacks it.';
