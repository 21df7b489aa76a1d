-- Postgres takes a function in PL/pgSQL for a hundred operators. From such a sum it concludes that compiling the
-- statement pays, which took longer than running it. A week takes as long as some twenty operators, which is also what
-- has several workers read where it is asked for; the others are called for few rows.

alter function staging.toggl_week(date, bigint) cost 20;
alter function staging.toggl_day_start(date, text) cost 1;
alter function staging.toggl_chosen_time_zone() cost 1;
