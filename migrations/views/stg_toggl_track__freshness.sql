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
    and known.workspace_id <> all (
        array(
            select left_workspace.source_id from raw.toggl_track__workspaces left_workspace
            where left_workspace.deleted_at is not null
        )
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
    covered.covered_to as complete_to,
    promise.promised_age,
    now() - loaded.last_fetched_at <= promise.promised_age as is_promise_kept
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
) covered on covered.resource = loaded.resource and covered.workspace_id = loaded.workspace_id
-- The last one counts, while somebody may still be about to keep it.
left join lateral (
    select load.promised_age from (
        select load.promised_age, load.fetched_at from raw.toggl_track__loads load
        where load.resource = loaded.resource and load.workspace_id = loaded.workspace_id
            and load.promised_age is not null
        order by load.fetched_at desc
        limit 1
    ) load
    where load.fetched_at >= now() - greatest(interval '26 hours', 2 * load.promised_age)
) promise on true;

comment on view staging.stg_toggl_track__freshness is
    'How current each resource is in each workspace: one row for all that was ever loaded. One whose last_fetched_at stays behind the others'' can no longer be read, as of a workspace that is suspended; workspaces that were left have no rows.';
comment on column staging.stg_toggl_track__freshness.resource is
    'Name of the resource: that of its view without the prefix.';
comment on column staging.stg_toggl_track__freshness.workspace_id is
    'Workspace that was asked; 0 for what is asked for the whole account: me, workspaces, organizations, time_entries.';
comment on column staging.stg_toggl_track__freshness.last_fetched_at is
    'When Toggl was last asked, of all that has arrived: an old one means that nothing arrives.';
comment on column staging.stg_toggl_track__freshness.last_loaded_at is 'When the last batch was loaded.';
comment on column staging.stg_toggl_track__freshness.last_changed_at is
    'When a batch last wrote or deleted a row: an old one beside a new last_fetched_at means that nothing changed.';
comment on column staging.stg_toggl_track__freshness.complete_at is
    'Everything is as it was at Toggl at this time, or later. Null where no listing is complete: for me, workspaces and organizations, whose listings claim nothing, and where a listing has arrived only in part. For time entries it holds from complete_from to complete_to, for the person of whom most of the present is known: stg_toggl_track__coverage has each one''s.';
comment on column staging.stg_toggl_track__freshness.complete_from is
    'For time entries: the first start of the range that is covered without a gap and reaches nearest to the present, by all runs together; null elsewhere.';
comment on column staging.stg_toggl_track__freshness.complete_to is
    'For time entries: the end of that range, never later than its last reading; null elsewhere.';
comment on column staging.stg_toggl_track__freshness.promised_age is
    'How long after last_fetched_at it is read again at the latest, and loaded: what the schedule, or --promise of the fetcher, said last. Null where nobody did, or a day has passed since without a further run.';
comment on column staging.stg_toggl_track__freshness.is_promise_kept is
    'Whether last_fetched_at is no older than that now; null where nothing is promised.';
