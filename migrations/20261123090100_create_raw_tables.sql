-- The eight raw tables of the mission; the names are those of the resource catalogue.

create table raw.toggl_track__me (
    source_id    bigint      not null,
    workspace_id bigint      not null,
    data         jsonb       not null,
    api_version  text        not null,
    modified_at  timestamptz,
    fetched_at   timestamptz not null,
    synced_at    timestamptz not null default now(),
    deleted_at   timestamptz,
    content_hash bigint      not null,
    primary key (source_id)
);
comment on column raw.toggl_track__me.source_id is 'Toggl''s id.';
comment on column raw.toggl_track__me.workspace_id is 'Workspace it was read from; 0 for account-level rows.';
comment on column raw.toggl_track__me.data is 'The record as Toggl sent it, secrets removed.';
comment on column raw.toggl_track__me.api_version is 'v9 or v3.';
comment on column raw.toggl_track__me.modified_at is 'Toggl''s own time of last change, where the record has one.';
comment on column raw.toggl_track__me.fetched_at is 'Just before the request that returned it was sent.';
comment on column raw.toggl_track__me.synced_at is 'When the loader last wrote the row.';
comment on column raw.toggl_track__me.deleted_at is 'Set when Toggl reports or implies deletion; data is kept.';
comment on column raw.toggl_track__me.content_hash is 'xxh3 of the JSON bytes: equal means nothing to write.';

create table raw.toggl_track__workspaces (like raw.toggl_track__me including all);
create table raw.toggl_track__projects (like raw.toggl_track__me including all);
create table raw.toggl_track__clients (like raw.toggl_track__me including all);
create table raw.toggl_track__tags (like raw.toggl_track__me including all);
create table raw.toggl_track__groups (like raw.toggl_track__me including all);

-- A user is a member of several workspaces, and may look different in each.
create table raw.toggl_track__users (
    like raw.toggl_track__me including defaults including comments,
    primary key (workspace_id, source_id)
);

create table raw.toggl_track__time_entries (
    like raw.toggl_track__me including all,
    started_at timestamptz,
    user_id    bigint
);
-- Listings of entries are one user's, over all workspaces.
create index toggl_track__time_entries_starts
    on raw.toggl_track__time_entries (user_id, started_at);
comment on column raw.toggl_track__time_entries.started_at is 'Start of the entry.';
comment on column raw.toggl_track__time_entries.user_id is 'Whose entry it is.';
