create or replace view staging.stg_toggl_track__amounts as
select
    w.month,
    w.workspace_id,
    w.workspace_name,
    w.client_id,
    w.client_name,
    w.project_id,
    w.project_name,
    w.currency,
    count(*)                                                as entry_count,
    sum(w.hours)                                            as hours,
    round(sum(w.billable_amount), 2)                        as billable_amount
from staging.stg_toggl_track__wide_entries w
where w.billable_amount is not null
group by w.month, w.workspace_id, w.workspace_name, w.client_id, w.client_name, w.project_id, w.project_name, w.currency;

comment on view staging.stg_toggl_track__amounts is
    'What was earned, by month, client and project, as Toggl sums it: amounts that are not rounded are added up, and the sum is rounded to cents. So sums of these rows may differ by some cents from Toggl''s own total; for that, round sum(billable_amount) of the view of wide entries.';
comment on column staging.stg_toggl_track__amounts.month is
    'The first day of the month, by the local start of the entries.';
comment on column staging.stg_toggl_track__amounts.workspace_id is 'Toggl''s id of the workspace.';
comment on column staging.stg_toggl_track__amounts.workspace_name is 'Name of the workspace.';
comment on column staging.stg_toggl_track__amounts.client_id is 'Toggl''s id of the project''s client.';
comment on column staging.stg_toggl_track__amounts.client_name is 'Name of the project''s client.';
comment on column staging.stg_toggl_track__amounts.project_id is
    'Toggl''s id of the project; null for what has none.';
comment on column staging.stg_toggl_track__amounts.project_name is
    'Name of the project; null for what has none, and where it was deleted.';
comment on column staging.stg_toggl_track__amounts.currency is 'Currency of the amount.';
comment on column staging.stg_toggl_track__amounts.entry_count is 'How many entries have an amount.';
comment on column staging.stg_toggl_track__amounts.hours is 'Their hours, not rounded.';
comment on column staging.stg_toggl_track__amounts.billable_amount is
    'Their price by the report, in units of the currency, rounded to cents.';
