//! Entries that were running when a report showed them.
//!
//! Reports do not show running entries dependably, so that a report that lacks one proves nothing, and
//! their rows have no start that a claim could cover. Once it is stopped, every report of its day shows
//! an entry; only one that was discarded never comes again. After [`LONGEST`] that is what is left: a
//! complete report of the day on which it was started, fetched later than that and without it, says that
//! it is gone. Where that is wrong, for a timer that was forgotten for longer, the next report that shows
//! it brings it back.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::batch::{Record, is_storable};
use shared::resource::Resource;

/// A timer may be forgotten over long holidays' weekends, hardly for longer.
pub(super) const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// [`LONGEST`], in SQL.
pub(crate) const LONGEST_SQL: &str = "interval '168 hours'";

/// Whether a record is of an entry that runs, where claims say nothing of such.
pub(crate) fn is_running(resource: &Resource, record: &Record) -> bool {
    resource.running_unless.is_some() && record.started_at.is_none()
}

/// The start that such a record has in its JSON alone, if it can be read.
pub(crate) fn since(resource: &Resource, record: &Record) -> Option<Timestamp> {
    let start = resource.started_field.filter(|_| is_running(resource, record))?;
    let fields: Value = serde_json::from_slice(&record.data).ok()?;
    self::start(fields.get(start)?.as_str()?)
}

pub(super) fn start(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|start| is_storable(*start))
}
