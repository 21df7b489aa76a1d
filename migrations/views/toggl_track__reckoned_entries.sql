create or replace view raw.toggl_track__reckoned_entries as
select
    time_entry_id,
    workspace_id,
    user_id,
    user_name,
    project_id,
    task_id,
    description,
    tags,
    is_billable,
    started_at,
    stopped_at,
    duration_seconds,
    is_running,
    billable_amount,
    currency,
    local_day,
    more_days
from raw.toggl_track__entries entries
where local_day is not null
    and not exists (
        select from unnest(raw.toggl_track__moved_users()) as moved(user_id)
        where moved.user_id = entries.user_id
    );

comment on view raw.toggl_track__reckoned_entries is
    'Time entries whose local days the copy has, by indexes: nearly all. The others are in raw.toggl_track__unreckoned_entries.';
