-- Which database this is, and how far its ledger is known to hold what the stream has had.

create table raw.toggl_track__installation (
    installation_id uuid        not null primary key,
    only_one        boolean     not null default true unique check (only_one),
    created_at      timestamptz not null default now()
);
insert into raw.toggl_track__installation (installation_id) values (gen_random_uuid());

comment on table raw.toggl_track__installation is
    'One row: the name by which the stream''s consumers know this database. A dump that is restored has the same.';
comment on column raw.toggl_track__installation.installation_id is 'Stands in the metadata of the consumers that load this database.';
comment on column raw.toggl_track__installation.only_one is 'Keeps the table at one row.';
comment on column raw.toggl_track__installation.created_at is 'When the database was given it.';

create table raw.toggl_track__positions (
    resource          text        not null primary key,
    stream_created_at timestamptz not null,
    complete_through  bigint      not null,
    gone_from         bigint,
    gone_through      bigint,
    gone_after        timestamptz,
    gone_before       timestamptz,
    checked_at        timestamptz not null default now(),
    check (num_nonnulls(gone_from, gone_through, gone_before) in (0, 3)),
    check (gone_from <= gone_through)
);

comment on table raw.toggl_track__positions is
    'How far the ledger was held against the stream: a row for each resource, written by the loaders'' checks.';
comment on column raw.toggl_track__positions.resource is 'Name of the resource.';
comment on column raw.toggl_track__positions.stream_created_at is 'Which stream it was: one that is made anew counts from 1 again.';
comment on column raw.toggl_track__positions.complete_through is 'Every message of the resource up to this place in the stream was loaded here.';
comment on column raw.toggl_track__positions.gone_from is 'From this place on messages had left the stream before this database had them; null if none did.';
comment on column raw.toggl_track__positions.gone_through is 'The last place of which that is true.';
comment on column raw.toggl_track__positions.gone_after is 'What was fetched before this time was loaded all the same; null where nothing was ever loaded.';
comment on column raw.toggl_track__positions.gone_before is 'What was fetched since this time is in the stream.';
comment on column raw.toggl_track__positions.checked_at is 'When this was last looked at.';
