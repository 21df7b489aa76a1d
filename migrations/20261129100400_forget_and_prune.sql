-- Whom the pipeline has forgotten, and what asking how current it is, and pruning, are quick by.

create table raw.toggl_track__forgotten (
    forgotten_id bigint      generated always as identity primary key,
    user_id      bigint,
    workspace_id bigint,
    forgotten_at timestamptz not null default now(),
    check (num_nonnulls(user_id, workspace_id) = 1)
);
create unique index toggl_track__forgotten_once
    on raw.toggl_track__forgotten (coalesce(user_id, workspace_id), (user_id is null));

comment on table raw.toggl_track__forgotten is
    'Whom `loader forget` has deleted: as long as the row stands, nothing of them is written, whether a batch is new or replayed. `loader forget --undo` deletes it.';
comment on column raw.toggl_track__forgotten.forgotten_id is 'Counts upwards: by it and the number of rows loaders see that the list has changed.';
comment on column raw.toggl_track__forgotten.user_id is 'Toggl''s id of a person; null where a workspace was forgotten.';
comment on column raw.toggl_track__forgotten.workspace_id is 'Toggl''s id of a workspace; null where a person was forgotten.';
comment on column raw.toggl_track__forgotten.forgotten_at is 'When it was asked for.';

comment on column raw.toggl_track__loads.received is
    'Records in the batch, without those of whoever is forgotten: the sum of written, unchanged, stale and dead.';

-- The newest row of each resource and workspace is looked up, however many there are.
create index toggl_track__loads_loaded on raw.toggl_track__loads (resource, workspace_id, loaded_at);
create index toggl_track__loads_changed on raw.toggl_track__loads (resource, workspace_id, loaded_at)
    where written > 0 or deleted > 0;

-- As before, by looking up instead of summing up, and without workspaces that are forgotten.
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
    coalesce(whole.complete_at, span.complete_at) as complete_at,
    span.complete_from,
    span.complete_to
from loaded
-- Ranges of claims never overlap: what is in none of them, nobody vouches for.
left join lateral (
    select min(claim.fetched_at) as complete_at
    from raw.toggl_track__claims claim
    where claim.resource = loaded.resource and claim.workspace_id = loaded.workspace_id
    having range_agg(claim.ids) = int8multirange(int8range(null, null))
) whole on true
left join lateral (
    select run_id
    from raw.toggl_track__claims
    where resource = loaded.resource and workspace_id = loaded.workspace_id and starts is not null
    order by fetched_at desc, run_id desc
    limit 1
) newest on true
left join lateral (
    select
        min(claim.fetched_at) as complete_at,
        lower(piece.starts) as complete_from,
        upper(piece.starts) as complete_to
    from (
        -- A run whose batches have not all been loaded may leave a gap: what lies after it counts.
        select unnest(range_agg(starts)) as starts
        from raw.toggl_track__claims
        where resource = loaded.resource and workspace_id = loaded.workspace_id and run_id = newest.run_id
        order by starts desc
        limit 1
    ) piece
    join raw.toggl_track__claims claim
        on claim.resource = loaded.resource and claim.workspace_id = loaded.workspace_id
            and claim.run_id = newest.run_id and claim.starts <@ piece.starts
    group by piece.starts
) span on true;
