-- An entry over midnight counts in the week of each of its days; what is running counts once it has stopped.
select
    week,
    workspace_id,
    workspace_name,
    client_id,
    client_name,
    round(sum(hours), 2)                                            as hours,
    round(coalesce(sum(hours) filter (where is_billable), 0), 2)    as billable_hours
from {{ source('toggl_track', 'stg_toggl_track__hours_by_day') }}
where hours is not null
group by week, workspace_id, workspace_name, client_id, client_name
