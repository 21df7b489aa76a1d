-- Sorted, so that rows are looked up in the order in which they stand.
create or replace view raw.toggl_track__touched_ids as
select distinct id
from raw.toggl_track__touched, unnest(ids) as id
-- Of one piece where raw.toggl_track__settle is copying it.
where touched_id <= coalesce(
    nullif(current_setting('toggl_track.settle_through', true), '')::bigint, 9223372036854775807
)
order by id;

comment on view raw.toggl_track__touched_ids is
    'The time entries that were touched since the copy in raw.toggl_track__typed_entries was brought up to date.';
comment on column raw.toggl_track__touched_ids.id is 'Toggl''s id of the entry.';
