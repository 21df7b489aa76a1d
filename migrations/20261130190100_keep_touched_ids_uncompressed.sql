-- Compressing the ids of a batch took longer than writing them, and they are read and gone within minutes.
alter table raw.toggl_track__touched alter column ids set storage external;
