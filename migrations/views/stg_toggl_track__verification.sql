create or replace view staging.stg_toggl_track__verification as
with inventory as (
    select * from staging.stg_toggl_track__inventories where not is_superseded
),
compared as (
    select
        inventory_id,
        user_id,
        count(told_seconds)                                 as told_entry_count,
        coalesce(sum(told_seconds), 0)::bigint              as told_seconds,
        count(stored_user_id) filter (where state <> 'other user') as stored_entry_count,
        coalesce(sum(duration_seconds) filter (where state <> 'other user'), 0)::bigint as stored_seconds,
        count(*) filter (where state = 'missing')           as missing_count,
        count(*) filter (where state = 'gone')              as gone_count,
        count(*) filter (where starts_with(state, 'other')) as differing_count,
        count(*) filter (where state in ('left out', 'undecided')) as left_out_count,
        count(*) filter (where state = 'unproven')          as unproven_count,
        count(*) filter (where state = 'not kept')          as not_kept_count
    from staging.stg_toggl_track__verified_entries
    group by inventory_id, user_id
    union all
    select
        inventory_id,
        user_id,
        0,
        sum(told_seconds)::bigint,
        0,
        sum(stored_seconds)::bigint,
        0,
        0,
        count(*) filter (where starts_with(state, 'other')),
        count(*) filter (where state in ('left out', 'undecided')),
        count(*) filter (where state = 'unproven'),
        count(*) filter (where state = 'not kept')
    from staging.stg_toggl_track__verified_sums
    group by inventory_id, user_id
)
select
    inventory.inventory_id,
    inventory.workspace_id,
    inventory.from_date,
    inventory.to_date,
    inventory.fetched_at                                    as asked_at,
    compared.user_id,
    case
        when inventory.fault is not null then 'no proof'
        when not inventory.is_arrived then 'not arrived'
        when compared.missing_count + compared.gone_count + compared.differing_count > 0 then 'different'
        when compared.unproven_count > 0 then 'unproven'
        when compared.not_kept_count > 0 then 'not kept'
        else 'equal'
    end                                                     as verdict,
    inventory.fault,
    coalesce(compared.told_entry_count, 0)                  as told_entry_count,
    coalesce(compared.stored_entry_count, 0)                as stored_entry_count,
    coalesce(compared.told_seconds, 0)                      as told_seconds,
    coalesce(compared.stored_seconds, 0)                    as stored_seconds,
    coalesce(compared.missing_count, 0)                     as missing_count,
    coalesce(compared.gone_count, 0)                        as gone_count,
    coalesce(compared.differing_count, 0)                   as differing_count,
    coalesce(compared.left_out_count, 0)                    as left_out_count,
    coalesce(compared.unproven_count, 0)                    as unproven_count,
    coalesce(compared.not_kept_count, 0)                    as not_kept_count
from inventory
left join compared on compared.inventory_id = inventory.inventory_id;

comment on view staging.stg_toggl_track__verification is
    'The verdict: whether the tables have what Toggl''s own sums say is there, one row for each inventory and person in it.';
comment on column staging.stg_toggl_track__verification.inventory_id is 'The inventory: see stg_toggl_track__inventories.';
comment on column staging.stg_toggl_track__verification.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__verification.from_date is 'First day of the inventory, by the clock of whose entry it is.';
comment on column staging.stg_toggl_track__verification.to_date is 'Last day of the inventory, inclusive.';
comment on column staging.stg_toggl_track__verification.asked_at is 'When Toggl was asked for it: what was fetched after that is left out.';
comment on column staging.stg_toggl_track__verification.user_id is
    'Toggl''s id of the person; null where the inventory names nobody, or proves nothing.';
comment on column staging.stg_toggl_track__verification.verdict is
    'equal; different; unproven (entries are missing, and only a part of the person''s days was ever read); not kept (this person''s entries are not read); no proof (the answer is none: see fault); not arrived (rows of the inventory are still on their way).';
comment on column staging.stg_toggl_track__verification.fault is 'Why the answer proves nothing; null where it does.';
comment on column staging.stg_toggl_track__verification.told_entry_count is 'Entries at Toggl; 0 where it told no ids.';
comment on column staging.stg_toggl_track__verification.stored_entry_count is
    'Entries here: those that Toggl names, and those that start in these days in every time zone.';
comment on column staging.stg_toggl_track__verification.told_seconds is 'How long the entries at Toggl took.';
comment on column staging.stg_toggl_track__verification.stored_seconds is 'How long the entries here took.';
comment on column staging.stg_toggl_track__verification.missing_count is 'Entries at Toggl and not here.';
comment on column staging.stg_toggl_track__verification.gone_count is 'Entries here and not at Toggl.';
comment on column staging.stg_toggl_track__verification.differing_count is
    'Entries of another person, length or price than at Toggl; of a group whose sum differs, all. Without ids: projects whose sum differs.';
comment on column staging.stg_toggl_track__verification.left_out_count is
    'Entries that were changed here since Toggl was asked, and what they keep undecided; without ids: projects.';
comment on column staging.stg_toggl_track__verification.unproven_count is
    'Entries that are not here, of a person of whom only a part of the days was ever read.';
comment on column staging.stg_toggl_track__verification.not_kept_count is
    'Entries that are not here, of a person whose entries are not read.';
