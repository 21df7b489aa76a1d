create or replace view staging.stg_toggl_track__coverage as
with reading as (
    -- What lies after the reading it cannot know, however far its window reached.
    select
        resource,
        workspace_id,
        user_id,
        lower(starts) as covered_from,
        least(upper(starts), fetched_at) as covered_to,
        fetched_at
    from raw.toggl_track__claims
    where starts is not null and lower(starts) < fetched_at
),
-- A range begins where nothing before it reaches up to it. One look at each reading, in their order.
beginning as (
    select
        reading.*,
        covered_from <= max(covered_to) over (
            partition by resource, workspace_id, user_id
            order by covered_from, covered_to
            rows between unbounded preceding and 1 preceding
        ) is not true as is_first
    from reading
),
numbered as (
    select
        beginning.*,
        count(*) filter (where is_first) over (
            partition by resource, workspace_id, user_id
            order by covered_from, covered_to
            rows between unbounded preceding and current row
        ) as number
    from beginning
),
covered as (
    select
        resource,
        workspace_id,
        user_id,
        min(covered_from) as covered_from,
        max(covered_to) as covered_to,
        min(fetched_at) as covered_as_of,
        max(fetched_at) as covered_newest_at
    from numbered
    group by resource, workspace_id, user_id, number
    union all
    -- A list of which a part has not arrived yet covers nothing.
    select
        resource,
        workspace_id,
        null::bigint,
        null::timestamptz,
        null::timestamptz,
        min(fetched_at),
        max(fetched_at)
    from raw.toggl_track__claims
    where ids is not null
    group by resource, workspace_id
    having range_agg(ids) = int8multirange(int8range(null, null))
)
select
    resource,
    workspace_id,
    user_id,
    coalesce(
        (
            select person.data->>'fullname'
            from raw.toggl_track__users person
            where person.source_id = covered.user_id
            order by person.workspace_id = covered.workspace_id desc, person.deleted_at is null desc, person.fetched_at desc
            limit 1
        ),
        (select me.data->>'fullname' from raw.toggl_track__me me where me.source_id = covered.user_id)
    ) as user_name,
    covered_from,
    covered_to,
    covered_as_of,
    covered_newest_at
from covered
where workspace_id <> all (array(
        select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
        where left_workspace.deleted_at is not null
    ));

comment on view staging.stg_toggl_track__coverage is
    'What complete listings vouch for: inside a range a record that is not there is not there at Toggl, outside of them nobody has looked. One row for each resource, workspace, person and contiguous range. What is covered for everybody is covered for each person, too. me, workspaces and organizations have no rows: their listings vouch for nothing.';
comment on column staging.stg_toggl_track__coverage.resource is
    'Name of the resource: that of its view without the prefix.';
comment on column staging.stg_toggl_track__coverage.workspace_id is
    'Workspace that was asked; 0 for what is asked for the whole account: time_entries.';
comment on column staging.stg_toggl_track__coverage.user_id is
    'Whose time entries they are; null for everybody''s, and for lists.';
comment on column staging.stg_toggl_track__coverage.user_name is
    'Name of that person; null where user_id is, or where nobody of that id is known.';
comment on column staging.stg_toggl_track__coverage.covered_from is
    'For time entries: the first start that is covered. Null for lists, of which everything is.';
comment on column staging.stg_toggl_track__coverage.covered_to is
    'For time entries: the starts before this one are covered; never later than the reading itself. Null for lists.';
comment on column staging.stg_toggl_track__coverage.covered_as_of is
    'Everything in the range is as it was at Toggl at this time, or later: the oldest of the readings that make it up.';
comment on column staging.stg_toggl_track__coverage.covered_newest_at is 'The newest of these readings.';
