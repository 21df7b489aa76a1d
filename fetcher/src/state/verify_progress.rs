//! How far interrupted inventories came.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How far the inventories of a workspace came. Key `verify.<user>.<workspace>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerifyProgress {
    /// When the last of them was sent, by Toggl's clock.
    pub(crate) at: Timestamp,
    /// First day of all.
    pub(crate) from: Date,
    /// Last day of all.
    pub(crate) to: Date,
    /// Day to go on with; none once all are sent.
    pub(crate) next: Option<Date>,
    /// What the rows of those that were sent are called by.
    pub(crate) inventory_ids: Vec<i64>,
}

impl VerifyProgress {
    pub(crate) fn key(user_id: i64, workspace_id: i64) -> String {
        format!("verify.{user_id}.{workspace_id}")
    }
}
