//! The account of the fixtures: a small one, for the most part as it was recorded.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::account::{Account, parse_records, whole_seconds};
use super::list::List;
use super::record::{array_items, quoted, with_fields};
use super::time_entries::TimeEntry;

const TIME_ENTRIES: &str = include_str!("../../fixtures/time_entries.json");

/// Shortly after the newest entry of the fixtures.
///
/// # Panics
///
/// Never: the time is a constant.
pub fn sample_now() -> Timestamp {
    "2024-12-17T00:00:00Z".parse().expect("a constant time")
}

impl Account {
    /// The fixtures, byte for byte. Their entries are of December 2024, so the simulator's clock
    /// has to stand at [`sample_now`] for the three-month limit to let them through.
    pub fn sample() -> Self {
        let mut account = Self::empty();
        let workspace_id = account.workspace_id();
        for list in List::ALL {
            account.extend(*list, workspace_id, parse_records(list.fixture()));
        }
        for entry in array_items(TIME_ENTRIES) {
            account.put_time_entry(entry.get());
        }
        account
    }

    /// The fixtures with their entries moved by whole seconds, as if they had been recorded now.
    pub fn sample_at(now: Timestamp) -> Self {
        let mut account = Self::sample();
        let by = now.duration_since(sample_now());
        let moved = account.time_entries().map(|entry| moved_entry(entry, by));
        account.time_entries = moved.collect();
        account
    }
}

#[derive(Deserialize)]
struct Times {
    start: Timestamp,
    stop: Option<Timestamp>,
    duration: i64,
    at: Timestamp,
    server_deleted_at: Option<Timestamp>,
}

fn moved_entry(entry: &TimeEntry, by: SignedDuration) -> TimeEntry {
    let times: Times = serde_json::from_str(entry.text()).expect("a time entry");
    let second = |at: Timestamp| quoted(&whole_seconds(at.as_second() + by.as_secs()));
    let optional = |at: Option<Timestamp>| at.map_or_else(|| "null".to_owned(), second);
    let duration = if entry.is_running { times.duration - by.as_secs() } else { times.duration };
    TimeEntry::parse(&with_fields(
        entry.text(),
        &[
            ("start", &second(times.start)),
            ("stop", &optional(times.stop)),
            ("duration", &duration.to_string()),
            ("at", &quoted(&(times.at + by).to_string())),
            ("server_deleted_at", &optional(times.server_deleted_at)),
        ],
    ))
}
