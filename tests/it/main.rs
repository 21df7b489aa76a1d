//! End-to-end tests: real servers, real processes, a simulated Toggl.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails at the line that fails"
)]

mod batches;
mod catalogue;
mod certificates;
mod changes;
mod command_line;
mod credentials;
mod dead_letter_claims;
mod dead_letter_commands;
mod dead_letter_retries;
mod dead_letters;
mod deletions;
mod delivery;
mod end_to_end;
mod endings;
mod expected_rows;
mod failures;
mod freshness;
mod guarded;
mod kills;
mod letters;
mod limits;
mod odd_answers;
mod quotas;
mod random_histories;
mod reports;
mod resync;
mod rights_nats;
mod rights_postgres;
mod running;
mod runs_at_once;
mod secrets;
mod selection;
mod staged;
mod staging_catalogue;
mod staging_deletions;
mod staging_entries;
mod staging_random;
mod staging_times;
mod staging_values;
mod tls;
