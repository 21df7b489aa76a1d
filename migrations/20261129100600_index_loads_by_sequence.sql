-- Where in the stream the batches of a resource stand, or stood: what a replay asks that tells which of them
-- have left it.

create index toggl_track__loads_sequence on raw.toggl_track__loads (resource, stream_sequence);
