-- A batch of another shape is kept whole, and every letter says what it is about, so that it can go
-- once something newer is known of that.

-- Of the letters that came with every sync, the newest one of each record stays.
delete from raw.toggl_track__dead_letters
where dead_letter_id in (
    select dead_letter_id
    from (
        select dead_letter_id, row_number() over (
                   partition by resource, workspace_id, source_id,
                       case when source_id is null then reason end,
                       case when source_id is null then sha256(payload) end
                   order by fetched_at desc nulls last, dead_letter_id desc
               ) as place
        from raw.toggl_track__dead_letters
        where record_index is not null
    ) ranked
    where place > 1
);

-- The expression of a generated column cannot be changed.
drop index raw.toggl_track__dead_letters_about;
alter table raw.toggl_track__dead_letters
    drop column kind,
    add column kept_whole text check (kept_whole in ('complete', 'partial'));
alter table raw.toggl_track__dead_letters
    add column kind text not null generated always as (
        case
            when kept_whole is not null then 'shape'
            when record_index is not null and batch is not null then 'record'
            when record_index is not null then 'rejected'
            when batch is not null then 'claim'
            else 'message'
        end
    ) stored;

-- An id as a range; what came without one may have been any. The starts of entries stand in what was
-- kept, and are noted when it comes again.
update raw.toggl_track__dead_letters
set ids = int8range(source_id, nullif(source_id, 9223372036854775807) + 1)
where record_index is not null and ids is null
    and resource not in ('me', 'workspaces', 'organizations', 'time_entries', 'time_entries_report');

-- Which letters there are of a workspace, of a record, and of what has no id.
create index toggl_track__dead_letters_about
    on raw.toggl_track__dead_letters (resource, workspace_id, source_id, sha256(payload));

comment on column raw.toggl_track__dead_letters.kind is
    'record: refused by Postgres; claim: a listing that was not believed; shape: a batch of which most was refused; message: could not be decoded; rejected: no record could be made of it.';
comment on column raw.toggl_track__dead_letters.kept_whole is
    'Set where so much of a batch was refused that all of it was kept: whether it was complete for its range, or partial.';
comment on column raw.toggl_track__dead_letters.ids is
    'Ids that the listing covered, or that of the record. A newer listing that covers all of them settles the letter.';
comment on column raw.toggl_track__dead_letters.starts is
    'Entry starts that the listing covered, or that of the record. A newer listing that covers all of them settles the letter.';
comment on column raw.toggl_track__dead_letters.user_id is
    'With starts: the user whose entry it is, or whose entries were listed; null for everybody.';
comment on column raw.toggl_track__dead_letters.payload is
    'The record''s JSON bytes, the whole message as it came, or the whole batch of a claim or of another shape.';
comment on column raw.toggl_track__dead_letters.batch is
    'The record as a zstd-compressed MessagePack batch of its own, or the whole batch of a claim or of another shape, ready to be applied again.';
