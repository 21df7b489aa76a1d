comment on column raw.toggl_track__loads.stale is
    'Records not newer than what was known of them: older than the stored row, just as old, or of a batch that was overtaken.';
