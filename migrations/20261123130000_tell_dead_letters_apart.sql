-- What dead letters are selected, applied again and replaced by.

alter table raw.toggl_track__dead_letters
    add column kind text not null generated always as (
        case
            when record_index is not null and batch is not null then 'record'
            when record_index is not null then 'rejected'
            when batch is not null then 'claim'
            else 'message'
        end
    ) stored,
    add column workspace_id bigint,
    add column fetched_at timestamptz,
    add column user_id bigint,
    add column ids int8range,
    add column starts tstzrange;

update raw.toggl_track__dead_letters d
set workspace_id = l.workspace_id, fetched_at = l.fetched_at
from raw.toggl_track__loads l
where l.run_id = d.run_id and l.resource = d.resource and l.stream_sequence = d.stream_sequence;

create index toggl_track__dead_letters_about
    on raw.toggl_track__dead_letters (resource, workspace_id, kind, source_id);

comment on column raw.toggl_track__dead_letters.kind is
    'record: refused by Postgres; claim: a listing that was not believed; message: could not be decoded; rejected: no record could be made of it.';
comment on column raw.toggl_track__dead_letters.workspace_id is 'Workspace asked; 0 for account-level requests, null for an undecodable message.';
comment on column raw.toggl_track__dead_letters.fetched_at is 'Just before the first request of the listing was sent; null for an undecodable message.';
comment on column raw.toggl_track__dead_letters.user_id is 'For a claim on starts: the user whose entries were listed; null for everybody.';
comment on column raw.toggl_track__dead_letters.ids is 'For a claim: ids that the listing covered.';
comment on column raw.toggl_track__dead_letters.starts is 'For a claim: entry starts that the listing covered.';
comment on column raw.toggl_track__dead_letters.created_at is 'When it was first kept; a newer form of the same record takes the letter over.';
comment on column raw.toggl_track__dead_letters.reason is 'Why it could not be loaded, the last time that this was tried.';
comment on column raw.toggl_track__dead_letters.batch is
    'The record as a zstd-compressed MessagePack batch of its own, or the whole batch of a claim, ready to be applied again.';
