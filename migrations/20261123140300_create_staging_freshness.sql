-- Whether a quiet table is quiet because nothing changed, or because nothing arrived. It stands with the
-- views and not with the raw tables because it is for their readers, who need no rights on the schema raw.

create view staging.stg_toggl_track__freshness as
select
    loaded.resource,
    loaded.workspace_id,
    loaded.last_fetched_at,
    loaded.last_loaded_at,
    loaded.last_changed_at,
    coalesce(whole.complete_at, span.complete_at) as complete_at,
    span.complete_from,
    span.complete_to
from (
    select
        resource,
        workspace_id,
        max(fetched_at) as last_fetched_at,
        max(loaded_at) as last_loaded_at,
        max(loaded_at) filter (where written > 0 or deleted > 0) as last_changed_at
    from raw.toggl_track__loads
    group by resource, workspace_id
) loaded
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

comment on view staging.stg_toggl_track__freshness is
    'How current each resource is in each workspace: one row for all that was ever loaded.';
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
    'Everything was as it was at Toggl at this time, or is as it was later. Null where no listing is complete: for me, workspaces and organizations, whose listings claim nothing, and where a listing has arrived only in part. For time entries it holds from complete_from to complete_to.';
comment on column staging.stg_toggl_track__freshness.complete_from is
    'For time entries: the first start that the newest run vouches for; null elsewhere.';
comment on column staging.stg_toggl_track__freshness.complete_to is
    'For time entries: the starts before this one are what the newest run vouches for; null elsewhere.';
