-- What the loader remembers beside the raw tables: loads, claims, dead letters.

create table raw.toggl_track__loads (
    run_id          uuid        not null,
    resource        text        not null,
    workspace_id    bigint      not null,
    part            integer     not null,
    received        integer     not null,
    written         integer     not null,
    unchanged       integer     not null,
    stale           integer     not null,
    deleted         integer     not null,
    dead            integer     not null,
    fetched_at      timestamptz not null,
    loaded_at       timestamptz not null default clock_timestamp(),
    stream_sequence bigint      not null,
    primary key (run_id, resource, workspace_id, part)
);
create index toggl_track__loads_freshness
    on raw.toggl_track__loads (resource, workspace_id, fetched_at);

comment on table raw.toggl_track__loads is
    'One row for every applied batch, written in the transaction that applied it. A batch that is delivered again leaves its row as it was.';
comment on column raw.toggl_track__loads.run_id is 'The fetcher''s run (UUID v7).';
comment on column raw.toggl_track__loads.workspace_id is 'Workspace asked; 0 for account-level requests.';
comment on column raw.toggl_track__loads.part is 'Counts the batches of one run, resource and workspace from 0.';
comment on column raw.toggl_track__loads.received is 'Records in the batch: the sum of written, unchanged, stale and dead.';
comment on column raw.toggl_track__loads.written is 'Records inserted or updated.';
comment on column raw.toggl_track__loads.unchanged is 'Records equal to the stored row, which was not rewritten.';
comment on column raw.toggl_track__loads.stale is 'Records older than the stored row.';
comment on column raw.toggl_track__loads.deleted is 'Rows that this batch marked deleted.';
comment on column raw.toggl_track__loads.dead is 'Records kept as dead letters.';
comment on column raw.toggl_track__loads.fetched_at is 'Just before the first request of the listing was sent.';
comment on column raw.toggl_track__loads.stream_sequence is 'Place of the message in the JetStream stream.';

-- Ranges of one resource and workspace never overlap for the same user: a newer claim is cut out of
-- the older ones, and the older ones out of a late one.
create table raw.toggl_track__claims (
    resource     text        not null,
    workspace_id bigint      not null,
    user_id      bigint,
    ids          int8range,
    starts       tstzrange,
    fetched_at   timestamptz not null,
    run_id       uuid        not null,
    check (num_nonnulls(ids, starts) = 1)
);
create index toggl_track__claims_newest
    on raw.toggl_track__claims (resource, workspace_id, fetched_at);

comment on table raw.toggl_track__claims is
    'What complete listings vouched for: a row inside a range was there, or was not, at fetched_at.';
comment on column raw.toggl_track__claims.user_id is 'For starts: the user whose entries were listed; null for everybody.';
comment on column raw.toggl_track__claims.ids is 'Ids that the listing covered.';
comment on column raw.toggl_track__claims.starts is 'Entry starts that the listing covered.';

create table raw.toggl_track__dead_letters (
    dead_letter_id  bigint generated always as identity primary key,
    resource        text        not null,
    subject         text        not null,
    stream_sequence bigint      not null,
    published_at    timestamptz not null,
    record_index    integer,
    source_id       bigint,
    run_id          uuid,
    reason          text        not null,
    sqlstate        text,
    payload         bytea       not null,
    encoding        text,
    batch           bytea,
    created_at      timestamptz not null default now()
);
-- A message that is delivered again is the same dead letter. The time of publishing tells apart the
-- messages of a stream that was deleted and made anew.
create unique index toggl_track__dead_letters_once
    on raw.toggl_track__dead_letters (stream_sequence, published_at, coalesce(record_index, -1));

comment on table raw.toggl_track__dead_letters is
    'Messages and records that could not be loaded, with their bytes.';
comment on column raw.toggl_track__dead_letters.record_index is 'Place of the record in its batch, from 0; null where the whole message is kept.';
comment on column raw.toggl_track__dead_letters.payload is 'The record''s JSON bytes, or the whole message as it came.';
comment on column raw.toggl_track__dead_letters.encoding is 'Content-Encoding of a whole message.';
comment on column raw.toggl_track__dead_letters.batch is 'The record as a zstd-compressed MessagePack batch of its own, ready to be applied again.';
