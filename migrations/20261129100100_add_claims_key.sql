-- Where a publication is for all tables, Postgres refuses to delete rows of a table without a primary key,
-- and a newer claim takes the place of older ones.
alter table raw.toggl_track__claims
    add column claim_id bigint generated always as identity primary key;

comment on column raw.toggl_track__claims.claim_id is 'Tells equal claims apart; says nothing.';
