//! What is remembered of an account itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Up to when the changes of a user's entries have been read. Key `since.<user>`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Since {
    /// Just before the last complete request was sent, by Toggl's clock.
    pub(crate) fetched_at: Timestamp,
    /// The newest change that runs have seen, for whoever is to be told of changes.
    #[serde(default)]
    pub(crate) newest_change: Option<Timestamp>,
}

impl Since {
    pub(crate) fn key(user_id: i64) -> String {
        format!("since.{user_id}")
    }
}

/// Of the last sync. Key `account.<user>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The default workspace, where the sync read that because none was named.
    pub(crate) default_workspace_id: Option<i64>,
}

impl Remembered {
    pub(crate) fn key(user_id: i64) -> String {
        format!("account.{user_id}")
    }
}

/// The last time that everybody's entries of a workspace were read by a sync. Key
/// `team.<user>.<workspace>`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct TeamRead {
    pub(crate) at: Timestamp,
    /// Days that were read.
    pub(crate) days: u32,
    /// Entries that were sent.
    pub(crate) records: usize,
}

impl TeamRead {
    pub(crate) fn key(user_id: i64, workspace_id: i64) -> String {
        format!("team.{user_id}.{workspace_id}")
    }
}
