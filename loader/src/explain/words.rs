//! Times and places as people read them.

use jiff::Timestamp;

use super::stored::Load;

/// In UTC, to the second.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The same, or that there is none.
pub(super) fn maybe(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "no time".to_owned(), time)
}

/// Where a batch stands.
pub(super) fn place(load: &Load) -> String {
    format!("run {}, part {}, sequence {}", load.run_id, load.part, load.stream_sequence)
}
