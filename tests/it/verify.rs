//! Toggl's own sums against the tables: `fetcher verify` and `loader verify`.

mod damage;
mod doubtful;
mod equal;
mod groups;
mod named;
mod random;
mod resumed;
mod seams;
mod verifying;
mod watched;
