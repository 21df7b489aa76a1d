-- How old each table gets at most before it is read again: what whoever starts the runs has said, as it came with
-- each batch.

alter table raw.toggl_track__loads add column promised_age interval;
comment on column raw.toggl_track__loads.promised_age is
    'How old its table gets at most before it is read again, as the schedule or --promise said; null where nobody did.';

create index toggl_track__loads_promises on raw.toggl_track__loads (resource, workspace_id, fetched_at)
    where promised_age is not null;
