-- What Toggl's own sums say is there: an inventory of each span of days, to hold the tables against.
create table raw.toggl_track__inventories (like raw.toggl_track__users including all);
comment on table raw.toggl_track__inventories is
    'Inventories of Toggl: for a span of days, one row that names the people in it, and rows with the ids or sums of each. They say nothing about what is deleted. The view stg_toggl_track__verification holds the newest against the tables.';
comment on column raw.toggl_track__inventories.source_id is
    'Made of the workspace''s span, the account and the place in it: the next inventory of the span takes the place of the last.';
comment on column raw.toggl_track__inventories.data is
    'What of Toggl''s answer an inventory needs: ids and seconds, no descriptions.';
