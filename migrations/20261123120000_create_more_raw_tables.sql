-- The raw tables beside the mission's eight; the names are those of the resource catalogue.

create table raw.toggl_track__tasks (like raw.toggl_track__projects including all);
create table raw.toggl_track__project_users (like raw.toggl_track__projects including all);
create table raw.toggl_track__organizations (like raw.toggl_track__projects including all);
create table raw.toggl_track__workspace_users (like raw.toggl_track__users including all);

-- Not `including all` of the v9 table: its index serves listings of one user over all workspaces,
-- reports are of one workspace over all users.
create table raw.toggl_track__time_entries_report (
    like raw.toggl_track__time_entries including defaults including comments,
    primary key (source_id)
);
create index toggl_track__time_entries_report_starts
    on raw.toggl_track__time_entries_report (workspace_id, started_at);
comment on column raw.toggl_track__time_entries_report.started_at is
    'Start of the entry; null while it runs, for reports do not show running entries dependably.';
