-- Which claims cover a row, also where a long history has left thousands of them.

create index toggl_track__claims_ids on raw.toggl_track__claims using gist (ids);
create index toggl_track__claims_starts on raw.toggl_track__claims using gist (starts);
