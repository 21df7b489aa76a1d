//! How Toggl answers, and proxies before it.

mod clocks;
mod clocks_healed;
mod limits;
mod negative_durations;
mod odd_answers;
mod quotas;
mod refusals;
mod requests;
mod timeouts;
