-- Gaps and overlaps are read from this: what was covered before an entry is the furthest end of those that began
-- before it.
create or replace view raw.toggl_track__covered_parts as
with part as (
    select
        time_entry_id, user_id, user_name, day,
        part_started_at as started_at,
        case when is_running then coalesce(part_stopped_at, now()) else part_stopped_at end as stopped_at
    from staging.stg_toggl_track__daily_entries
    where user_id is not null
)
select
    time_entry_id,
    user_id,
    user_name,
    day,
    started_at,
    stopped_at,
    max(stopped_at) over earlier                            as covered_until,
    (max(array[(extract(epoch from stopped_at) * 1000000)::bigint, time_entry_id]) over earlier)[2]
                                                            as covered_by_id
from part
where started_at < stopped_at
window earlier as (
    partition by user_id, day order by started_at, time_entry_id
    rows between unbounded preceding and 1 preceding
);

comment on view raw.toggl_track__covered_parts is
    'Entries by person and local day, in the order of their starts, each with until when those before it go and which of them goes furthest.';
