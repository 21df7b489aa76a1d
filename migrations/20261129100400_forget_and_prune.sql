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
