-- What is known at all, and how old it is: for an analyst the difference between "nobody worked" and "nobody
-- looked". It stands with the views because it is for their readers, who need no rights on the schema raw.

create view staging.stg_toggl_track__coverage as
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
from covered;

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

-- Looked up instead of summed up, so that it costs the same at any age of the ledger, and without workspaces
-- that are forgotten.
create or replace view staging.stg_toggl_track__freshness as
with recursive known (resource, workspace_id) as (
    (
        select resource, workspace_id from raw.toggl_track__loads
        order by resource, workspace_id
        limit 1
    )
    union all
    select next.resource, next.workspace_id
    from known
    cross join lateral (
        select load.resource, load.workspace_id from raw.toggl_track__loads load
        where (load.resource, load.workspace_id) > (known.resource, known.workspace_id)
        order by load.resource, load.workspace_id
        limit 1
    ) next
),
loaded as (
    select
        known.resource,
        known.workspace_id,
        (
            select max(load.fetched_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
        ) as last_fetched_at,
        (
            select max(load.loaded_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
        ) as last_loaded_at,
        (
            select max(load.loaded_at) from raw.toggl_track__loads load
            where load.resource = known.resource and load.workspace_id = known.workspace_id
                and (load.written > 0 or load.deleted > 0)
        ) as last_changed_at
    from known
    where not exists (
        select from raw.toggl_track__forgotten forgotten where forgotten.workspace_id = known.workspace_id
    )
)
select
    loaded.resource,
    loaded.workspace_id,
    loaded.last_fetched_at,
    loaded.last_loaded_at,
    loaded.last_changed_at,
    covered.covered_as_of as complete_at,
    covered.covered_from as complete_from,
    covered.covered_to as complete_to
from loaded
left join (
    select distinct on (resource, workspace_id)
        resource,
        workspace_id,
        covered_as_of,
        covered_from,
        covered_to
    from staging.stg_toggl_track__coverage
    order by resource, workspace_id, covered_to desc, covered_from, covered_as_of desc
) covered on covered.resource = loaded.resource and covered.workspace_id = loaded.workspace_id;

comment on column staging.stg_toggl_track__freshness.complete_at is
    'Everything is as it was at Toggl at this time, or later. Null where no listing is complete: for me, workspaces and organizations, whose listings claim nothing, and where a listing has arrived only in part. For time entries it holds from complete_from to complete_to, for the person of whom most of the present is known: stg_toggl_track__coverage has each one''s.';
comment on column staging.stg_toggl_track__freshness.complete_from is
    'For time entries: the first start of the range that is covered without a gap and reaches nearest to the present, by all runs together; null elsewhere.';
comment on column staging.stg_toggl_track__freshness.complete_to is
    'For time entries: the end of that range, never later than its last reading; null elsewhere.';
