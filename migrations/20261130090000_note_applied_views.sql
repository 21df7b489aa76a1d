-- Which text of each view is in this database: `views/` holds the present ones.

create table raw.toggl_track__views (
    view_name      text        not null primary key,
    checksum       bigint      not null,
    loader_version text        not null,
    applied_at     timestamptz not null default now()
);

comment on table raw.toggl_track__views is
    'The views of the schema staging as a loader last made them. One whose text has changed since is made anew when a loader starts.';
comment on column raw.toggl_track__views.view_name is 'Name of the view in the schema staging.';
comment on column raw.toggl_track__views.checksum is 'XXH3 of the statements that made it.';
comment on column raw.toggl_track__views.loader_version is
    'Version of the loader that made it. An older loader leaves it as it is.';
comment on column raw.toggl_track__views.applied_at is 'When it was made.';
