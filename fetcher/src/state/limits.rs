//! What is known of a user's quotas.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::toggl::{Bucket, QuotaState, QuotaStates};

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

    /// What an hour allows in a bucket, as /me/quota has told.
    pub(crate) fn total(&self, bucket: Bucket) -> Option<i64> {
        self.totals.iter().find(|(known, _)| *known == bucket).map(|(_, total)| *total)
    }

    /// What is left of a bucket now, by the headers of answers; where they say nothing, all of it.
    pub(crate) fn left(&self, bucket: Bucket, states: &QuotaStates, now: Timestamp) -> Option<i64> {
        states.get(&bucket).and_then(|known| known.left(now)).or_else(|| self.total(bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_kept_by_user() {
        assert_eq!(Limits::key(7), "limits.7");
    }

    #[test]
    fn what_is_left_is_what_headers_say_and_else_what_an_hour_allows() {
        let totals = vec![(Bucket::User, 30), (Bucket::Workspace(5), 600)];
        let limits = Limits { totals, ..Limits::default() };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let resets_at = Some(now + jiff::SignedDuration::from_mins(20));
        let state = QuotaState { remaining: Some(7), resets_at, used_up: false };
        let states = QuotaStates::from([(Bucket::User, state)]);
        let left = |bucket| limits.left(bucket, &states, now);
        assert_eq!([Bucket::User, Bucket::Workspace(5)].map(left), [Some(7), Some(600)]);
        assert_eq!(left(Bucket::Workspace(6)), None, "nobody has told");
        assert_eq!(limits.total(Bucket::User), Some(30));
    }
}
