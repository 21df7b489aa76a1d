//! How far an interrupted report came.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Cursor;

/// How far a report came. Key `report.<user>.<workspace>.<scope>.<from>.<to>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportProgress {
    /// When the last page of it came, by Toggl's clock.
    pub(crate) at: Timestamp,
    /// Last day of the report; "today" of the run that began it.
    pub(crate) to: Date,
    /// First day of the span that is being read.
    pub(crate) span_from: Date,
    /// Page to go on with; none for the first.
    pub(crate) cursor: Option<Cursor>,
    /// Starts of the span that have been claimed.
    pub(crate) claimed_until: Option<Timestamp>,
    /// Entries sent so far.
    pub(crate) records: usize,
    /// Why it is not complete for all that was asked, if it is not.
    pub(crate) doubts: Vec<String>,
}
