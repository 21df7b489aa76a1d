-- What was kept of a run, which a fetcher that waits for its data asks for.

create index toggl_track__dead_letters_runs on raw.toggl_track__dead_letters (run_id);

comment on column raw.toggl_track__dead_letters.run_id is
    'The fetcher''s run (UUID v7), the last one that sent it; null for a message that came without an id of its own.';
