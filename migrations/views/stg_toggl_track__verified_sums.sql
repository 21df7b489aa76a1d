-- For inventories without ids. Days are those of whose entry it is: reports write starts by that clock, so of them
-- the day is known; of other entries only inside of what is the same day everywhere.
-- Of days that several inventories hold one counts: one that has ids, else the newest. The others are compared as a
-- whole, for a sum cannot be divided, and count without what is stored of these days; where the newer one differs,
-- too, it may be the same difference, and that one tells of it.
create or replace view staging.stg_toggl_track__verified_sums as
with span as materialized (
    select
        inventory_id, workspace_id, asking_user_id, is_admin, from_date, to_date, fetched_at as asked_at, is_by_entry
    from staging.stg_toggl_track__inventories
    where is_arrived and not is_superseded and fault is null
),
inventory as (
    select
        inventory_id, workspace_id, asking_user_id, is_admin, from_date, to_date, asked_at,
        (from_date::timestamp - interval '14 hours') at time zone 'UTC' as possible_from,
        (from_date::timestamp + interval '12 hours') at time zone 'UTC' as certain_from,
        (to_date::timestamp + interval '10 hours') at time zone 'UTC'   as certain_to,
        (to_date::timestamp + interval '36 hours') at time zone 'UTC'   as possible_to
    from span
    where not is_by_entry
),
-- Those that count before it for some of its days, of everybody or of who asked.
before as materialized (
    select
        span.inventory_id,
        other.inventory_id                                  as other_id,
        case when not other.is_admin then other.asking_user_id end as only_user_id,
        daterange(other.from_date, other.to_date, '[]')     as days,
        (other.asked_at, other.inventory_id) > (span.asked_at, span.inventory_id) as is_newer
    from span
    join span other on other.workspace_id = span.workspace_id
        and other.inventory_id <> span.inventory_id
        and other.from_date <= other.to_date
        and other.from_date <= span.to_date
        and other.to_date >= span.from_date
        and (other.is_admin or other.asking_user_id is not null)
        and (other.is_by_entry or (other.asked_at, other.inventory_id) > (span.asked_at, span.inventory_id))
    where not span.is_by_entry
),
told as (
    select
        inventory.inventory_id,
        staging.toggl_bigint(part.data->>'user_id')         as user_id,
        coalesce(staging.toggl_bigint(item->>'project_id'), 0) as project_id,
        sum(staging.toggl_bigint(item->>'seconds'))::bigint as seconds
    from inventory
    join raw.toggl_track__inventories part
        on part.workspace_id = inventory.workspace_id
        and part.fetched_at = inventory.asked_at
        and part.deleted_at is null
        and part.data->>'inventory_id' = inventory.inventory_id::text
    cross join lateral jsonb_array_elements(staging.toggl_list(part.data->'sums')) as items(item)
    group by 1, 2, 3
),
entry as (
    select
        inventory.inventory_id,
        stored.user_id,
        coalesce(stored.project_id, 0)                      as project_id,
        stored.duration_seconds,
        greatest(stored.fetched_at, stored.report_fetched_at) > inventory.asked_at as is_newer,
        case
            when stored.started_at >= inventory.certain_from and stored.started_at < inventory.certain_to then true
            else staging.toggl_date(left(report.data->>'start', 10))
                between inventory.from_date and inventory.to_date
        end                                                 as is_inside,
        exists (
            select from before
            where before.inventory_id = inventory.inventory_id
                and (before.only_user_id is null or before.only_user_id = stored.user_id)
                and before.days @> coalesce(
                    staging.toggl_date(left(report.data->>'start', 10)), (stored.started_at at time zone 'UTC')::date
                )
        )                                                   as is_elsewhere
    from inventory
    join staging.stg_toggl_track__time_entries stored
        on stored.workspace_id = inventory.workspace_id
        and stored.started_at >= inventory.possible_from
        and stored.started_at < inventory.possible_to
        and not stored.is_running
        and (inventory.is_admin or stored.user_id = inventory.asking_user_id)
    left join raw.toggl_track__time_entries_report report
        on report.source_id = stored.time_entry_id and report.started_at = stored.started_at
),
here as (
    select
        inventory_id,
        user_id,
        project_id,
        coalesce(sum(duration_seconds) filter (where is_inside), 0)::bigint as seconds,
        coalesce(sum(duration_seconds) filter (where is_inside and is_elsewhere), 0)::bigint as seconds_elsewhere,
        bool_or(is_newer)                                   as is_newer,
        bool_or(is_inside is null)                          as is_vague
    from entry
    where is_inside is not false
    group by inventory_id, user_id, project_id
),
-- What was deleted since Toggl was asked belongs to a sum that nobody can tell any more.
deleted as (
    select distinct inventory.inventory_id, gone.user_id
    from inventory
    join (
        select workspace_id, user_id, started_at, deleted_at from raw.toggl_track__time_entries_report
        union all
        select workspace_id, user_id, started_at, deleted_at from raw.toggl_track__time_entries
    ) gone
        on gone.workspace_id = inventory.workspace_id
        and gone.deleted_at > inventory.asked_at
        and gone.started_at >= inventory.possible_from
        and gone.started_at < inventory.possible_to
),
both_sides as (
    select
        inventory_id,
        user_id,
        project_id,
        coalesce(told.seconds, 0)                           as seconds,
        coalesce(here.seconds, 0)                           as stored_seconds,
        coalesce(here.seconds_elsewhere, 0)                 as seconds_elsewhere,
        coalesce(here.is_newer, false)                      as is_newer,
        coalesce(here.is_vague, false)                      as is_vague
    from told
    full join here using (inventory_id, user_id, project_id)
)
select
    inventory.inventory_id,
    inventory.workspace_id,
    inventory.from_date,
    inventory.to_date,
    inventory.asked_at,
    both_sides.user_id,
    nullif(both_sides.project_id, 0)                        as project_id,
    case
        when both_sides.seconds = both_sides.stored_seconds and not both_sides.is_vague then 'equal'
        when both_sides.is_newer or both_sides.is_vague or deleted.inventory_id is not null then 'left out'
        when exists (
            select from before
            join both_sides other on other.inventory_id = before.other_id
                and other.user_id = both_sides.user_id and other.project_id = both_sides.project_id
            where before.inventory_id = both_sides.inventory_id
                and before.is_newer
                and (before.only_user_id is null or before.only_user_id = both_sides.user_id)
                and other.seconds <> other.stored_seconds
        ) then 'undecided'
        when both_sides.stored_seconds > both_sides.seconds or coalesce(person.is_whole, false) then 'other seconds'
        when person.is_part then 'unproven'
        else 'not kept'
    end                                                     as state,
    both_sides.seconds - both_sides.seconds_elsewhere       as told_seconds,
    both_sides.stored_seconds - both_sides.seconds_elsewhere as stored_seconds
from both_sides
join inventory using (inventory_id)
left join staging.stg_toggl_track__inventory_people person
    on person.inventory_id = both_sides.inventory_id and person.user_id = both_sides.user_id
left join deleted on deleted.inventory_id = both_sides.inventory_id and deleted.user_id = both_sides.user_id
-- Of who asked for the same days since only that is told.
where not coalesce((
    select range_agg(before.days) from before
    where before.inventory_id = both_sides.inventory_id
        and before.is_newer
        and (before.only_user_id is null or before.only_user_id = both_sides.user_id)
) @> case
    when inventory.from_date <= inventory.to_date then daterange(inventory.from_date, inventory.to_date, '[]')
end, false);

comment on view staging.stg_toggl_track__verified_sums is
    'Toggl''s newest inventories that have no ids beside the view of all time entries, one row for each person and project that either has. Each day counts in one of them.';
comment on column staging.stg_toggl_track__verified_sums.inventory_id is 'The inventory: see stg_toggl_track__inventories.';
comment on column staging.stg_toggl_track__verified_sums.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__verified_sums.from_date is 'First day of the inventory.';
comment on column staging.stg_toggl_track__verified_sums.to_date is 'Last day of the inventory, inclusive.';
comment on column staging.stg_toggl_track__verified_sums.asked_at is 'When Toggl was asked for it.';
comment on column staging.stg_toggl_track__verified_sums.user_id is 'Toggl''s id of the user whose entries they are.';
comment on column staging.stg_toggl_track__verified_sums.project_id is 'Toggl''s id of the project; null for entries without one.';
comment on column staging.stg_toggl_track__verified_sums.state is
    'equal; other seconds; left out (something of it was changed here since Toggl was asked, or lies on a day that is another day elsewhere); undecided (a newer inventory that holds some of the days differs, too, and tells of it); unproven (less is here, and only a part of the person''s days was ever read); not kept (this person''s entries are not read).';
comment on column staging.stg_toggl_track__verified_sums.told_seconds is 'What Toggl says, less what is stored of days that count in another inventory.';
comment on column staging.stg_toggl_track__verified_sums.stored_seconds is 'What the tables say, without these days.';
