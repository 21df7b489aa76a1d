create or replace view staging.stg_toggl_track__people as
with everybody as materialized (
    select workspace.workspace_id, reading.fetched_at, reading.starts
    from (select distinct workspace_id from raw.toggl_track__users where deleted_at is null) workspace
    cross join lateral (
        select
            min(fetched_at) as fetched_at,
            (select piece from unnest(range_agg(starts)) piece order by piece desc limit 1) as starts
        from (
            select run_id, starts, fetched_at, first_value(run_id) over (
                order by least(upper(starts), fetched_at) desc, fetched_at desc, run_id desc) as newest_run_id
            from raw.toggl_track__claims
            where resource = 'time_entries_report' and workspace_id = workspace.workspace_id
                and user_id is null and starts is not null
        ) claim
        where run_id = newest_run_id
    ) reading
)
select
    person.workspace_id,
    person.source_id as user_id,
    person.data->>'fullname' as user_name,
    newest.fetched_at as entries_as_of,
    lower(newest.starts) as entries_from,
    upper(newest.starts) as entries_to,
    entry.last_started_at as last_entry_started_at,
    exists (
        select from raw.toggl_track__me me where me.source_id = person.source_id and me.deleted_at is null
    ) or exists (
        select from raw.toggl_track__claims claim
        where claim.resource = 'time_entries' and claim.workspace_id = 0 and claim.user_id = person.source_id
    ) as is_token_owner
from raw.toggl_track__users person
left join everybody on everybody.workspace_id = person.workspace_id
-- Of several readings the one that knows most of the present, not the newest one: a report on an old year,
-- fetched today, knows nothing of this week. The person's own are those of the token's owner, which are of
-- all workspaces, and of a report that is no admin's.
left join lateral (
    select fetched_at, starts
    from (
        select everybody.fetched_at, everybody.starts
        union all
        select
            min(fetched_at),
            -- A run whose batches have not all been loaded may leave a gap: what lies after it counts.
            (select piece from unnest(range_agg(starts)) piece order by piece desc limit 1)
        from (
            select resource, run_id, starts, fetched_at, first_value(run_id) over (
                partition by resource
                order by least(upper(starts), fetched_at) desc, fetched_at desc, run_id desc) as newest_run_id
            from raw.toggl_track__claims
            where user_id = person.source_id and starts is not null
                and (resource, workspace_id) in (
                    ('time_entries', 0), ('time_entries_report', person.workspace_id))
        ) claim
        where run_id = newest_run_id
        group by resource
    ) read
    where fetched_at is not null
    order by least(upper(starts), fetched_at) desc, fetched_at desc
    limit 1
) newest on true
-- Who does not ask for it does not pay for it.
left join (
    select workspace_id, user_id, max(started_at) as last_started_at
    from (
        select workspace_id, user_id, started_at from raw.toggl_track__time_entries where deleted_at is null
        union all
        select workspace_id, user_id, started_at from raw.toggl_track__time_entries_report where deleted_at is null
    ) live
    group by workspace_id, user_id
) entry on entry.workspace_id = person.workspace_id and entry.user_id = person.source_id
where person.deleted_at is null
    and person.workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

comment on view staging.stg_toggl_track__people is
    'Whose entries were read, and when: one row for each person in each workspace whose list of users was read. A sync reads those of the token''s owner, a report by an admin everybody''s. Who is running a timer can be known only of people whose own token is read: reports do not show running entries dependably.';
comment on column staging.stg_toggl_track__people.workspace_id is 'Workspace in which the person is a user.';
comment on column staging.stg_toggl_track__people.user_id is 'Toggl''s id of the person, the same in every workspace.';
comment on column staging.stg_toggl_track__people.user_name is 'Name of the person.';
comment on column staging.stg_toggl_track__people.entries_as_of is
    'The person''s entries with a start from entries_from to entries_to are as they were at Toggl at this time, or later; of several readings the one that reaches nearest to the present. Null if they were never read.';
comment on column staging.stg_toggl_track__people.entries_from is
    'The first start of that reading. What is before it was read earlier, or never.';
comment on column staging.stg_toggl_track__people.entries_to is
    'The starts before this one are those of that reading. Where it lies before entries_as_of, nothing is known of the time between.';
comment on column staging.stg_toggl_track__people.last_entry_started_at is
    'Start of the newest entry that is there; null where there is none.';
comment on column staging.stg_toggl_track__people.is_token_owner is
    'Whether it is somebody whose own token was read: only then can a running entry be known.';
