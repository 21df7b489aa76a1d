//! Time entries of any number, always the same for the same place and version. Their text is as long
//! as Toggl's and does not pack better than real ones would by much.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};
use shared::batch::Record;

/// Whose entries they are.
pub(super) const USER: i64 = 2_166_398;
const WORKSPACE: i64 = 2_230_991;
/// Of the first entry; 2020-01-01.
const ORIGIN: i64 = 1_577_836_800;
/// Between the starts of two entries.
const PACE: i64 = 90;

const WORDS: [&str; 24] = [
    "review",
    "invoice",
    "meeting",
    "Größe",
    "planning",
    "support",
    "call",
    "refactoring",
    "deploy",
    "\\\"quoted\\\"",
    "research",
    "customer",
    "onboarding",
    "draft",
    "bugfix",
    "sprint",
    "retro",
    "travel",
    "design",
    "interview",
    "release",
    "monitoring",
    "🚀 launch",
    "admin",
];

/// In which form an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// As it was recorded.
    First,
    /// Every tenth entry has changed.
    TenthChanged,
}

/// The start of the entry at a place.
pub(super) fn start(place: u32) -> Timestamp {
    Timestamp::constant(ORIGIN, 0) + SignedDuration::from_secs(PACE * i64::from(place))
}

/// Entries as a listing would hold them.
pub(super) fn records(places: Range<u32>, version: Version) -> Vec<Record> {
    places.map(|place| record(place, version)).collect()
}

/// One entry.
pub(super) fn record(place: u32, version: Version) -> Record {
    let changed = version == Version::TenthChanged && place.is_multiple_of(10);
    let chance = mixed(u64::from(place));
    let started_at = start(place);
    let length = i64::try_from(chance % 7_000).unwrap_or_default() + 60;
    let stopped_at = started_at + SignedDuration::from_secs(length);
    let modified_at = stopped_at
        + SignedDuration::from_micros(i64::try_from(chance % 999_983).unwrap_or_default())
        + SignedDuration::from_secs(if changed { 86_400 } else { 0 });
    let source_id = 3_000_000_000 + 3 * i64::from(place);
    let project = 63_342_000 + chance % 300;
    let (task, tag) = (chance % 5_000, 16_939_000 + chance % 90);
    let description = description(chance, changed);
    let data = format!(
        r#"{{"id":{source_id},"workspace_id":{WORKSPACE},"project_id":{project},"task_id":{task},"billable":{billable},"start":"{started_at}","stop":"{stopped_at}","duration":{length},"description":"{description}","tags":["Tag {tag}","Tag {task}"],"tag_ids":[{tag},{more}],"duronly":true,"at":"{modified_at}","server_deleted_at":null,"user_id":{USER},"uid":{USER},"wid":{WORKSPACE},"pid":{project},"tid":{task}}}"#,
        billable = chance.is_multiple_of(3),
        more = tag + 1,
    );
    Record {
        source_id,
        workspace_id: Some(WORKSPACE),
        modified_at: Some(modified_at),
        started_at: Some(started_at),
        user_id: Some(USER),
        deleted_at: None,
        data: data.into(),
    }
}

fn description(chance: u64, changed: bool) -> String {
    let mut text = String::with_capacity(64);
    let mut rest = chance;
    for _ in 0..5 {
        let word = usize::try_from(rest % 24).unwrap_or_default();
        text.push_str(WORDS[word]);
        text.push(' ');
        rest /= 24;
    }
    let state = if changed { " (changed)" } else { "" };
    format!("{text}{:06x}{state}", chance >> 40)
}

/// splitmix64: the same everywhere, and without a pattern that would pack well.
const fn mixed(place: u64) -> u64 {
    let mut z = place.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
