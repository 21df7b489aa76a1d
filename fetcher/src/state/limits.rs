//! What is known of a user's quotas.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::toggl::{Bucket, QuotaState};

/// What a user's runs have learned of limits. Key `limits.<user>`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// What was left of each quota.
    #[serde(rename = "standings")]
    pub(crate) quotas: Vec<(Bucket, QuotaState)>,
    /// Requests of an hour, from /me/quota.
    pub(crate) totals: Vec<(Bucket, i64)>,
    /// When /me/quota was asked, whether or not it answered.
    #[serde(default)]
    pub(crate) totals_asked_at: Option<Timestamp>,
    /// Paths refused with 402 for no known reason, with the first time.
    pub(crate) doubts: BTreeMap<String, Timestamp>,
    /// Requests of the last complete sync, and which sync that was.
    pub(crate) cost: Option<(String, Vec<(Bucket, u32)>)>,
    /// The last complete run of each kind.
    #[serde(default)]
    pub(crate) runs: BTreeMap<String, LastRun>,
}

/// A run that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastRun {
    /// When it ended, by this machine's clock.
    pub(crate) at: Timestamp,
    pub(crate) requests: Vec<(Bucket, u32)>,
}

impl LastRun {
    pub(crate) const SYNC: &str = "sync";
    pub(crate) const CHANGES: &str = "changes";
    pub(crate) const LISTS: &str = "lists";
    pub(crate) const REPORT: &str = "report";
    pub(crate) const VERIFY: &str = "verify";
}

impl Limits {
    pub(crate) fn key(user_id: i64) -> String {
        format!("limits.{user_id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_kept_by_user() {
        assert_eq!(Limits::key(7), "limits.7");
    }
}
