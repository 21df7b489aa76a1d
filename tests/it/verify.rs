//! Toggl's own sums against the tables: `fetcher verify` and `loader verify`.

mod damage;
mod doubtful;
mod equal;
mod named;
mod random;
mod verifying;
