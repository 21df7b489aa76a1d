//! A run of the fetcher: what it reads, remembers, leaves to other runs and tells.

mod accounts;
mod arrival;
mod arrival_kept;
mod beside_each_other;
mod changes;
mod changes_alone;
mod deletions;
mod end_to_end;
mod left_workspaces;
mod memory;
mod memory_clock;
mod resync;
mod runs_at_once;
mod schedule;
mod schedule_auto;
mod selection;
mod summary;
mod team;
