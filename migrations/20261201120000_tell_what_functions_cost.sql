-- Postgres takes a function in PL/pgSQL for a hundred operators. From such a sum it concludes that compiling the
-- statement pays, which took longer than running it.

alter function staging.toggl_week(date, bigint) cost 1;
alter function staging.toggl_day_start(date, text) cost 1;
alter function staging.toggl_chosen_time_zone() cost 1;
