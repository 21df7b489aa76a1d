//! Which workspaces an account has, and which it no longer gets anything of: what is said once is said again
//! only when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_within;

/// An account that has not listed a workspace for this long does not have it any more.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// What is younger is not written again at every run.
const RENEWED: Duration = Duration::from_hours(12);

/// The workspaces of an account. Key `membership.<user>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// Those that were in its last whole list.
    #[serde(default)]
    pub(crate) listed: BTreeSet<i64>,
    /// Those that are closed to it.
    #[serde(default)]
    pub(crate) closed: BTreeMap<i64, Closed>,
    /// Those that a list has lacked for the first time, and nothing else has proven yet.
    #[serde(default)]
    pub(crate) missed: BTreeSet<i64>,
}

/// A workspace that an account gets nothing of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// Whether it is no longer among its own.
    pub(crate) is_left: bool,
    /// What Toggl said of it.
    pub(crate) told: String,
    /// When that was found.
    pub(crate) since: Timestamp,
    /// Whether the tables were told that it is gone.
    pub(crate) is_gone: bool,
}

impl Membership {
    pub(crate) fn key(user_id: i64) -> String {
        format!("membership.{user_id}")
    }

    /// Whether the account is known to have left it.
    pub(crate) fn has_left(&self, workspace_id: i64) -> bool {
        self.closed.get(&workspace_id).is_some_and(|closed| closed.is_left)
    }

    /// Notes that Toggl refuses all of a workspace; whether that is news.
    pub(crate) fn refuse(&mut self, workspace_id: i64, told: &str, now: Timestamp) -> bool {
        if self.closed.get(&workspace_id).is_some_and(|closed| closed.told == told) {
            return false;
        }
        let closed = Closed { is_left: false, told: told.to_owned(), since: now, is_gone: false };
        self.closed.insert(workspace_id, closed);
        true
    }
}

/// Who lists a workspace, and when they last did. Key `members.<workspace>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members(BTreeMap<i64, Timestamp>);

impl Members {
    pub(crate) fn key(workspace_id: i64) -> String {
        format!("members.{workspace_id}")
    }

    /// Notes that a user has it; whether that is worth writing down.
    pub(crate) fn renew(&mut self, user_id: i64, now: Timestamp) -> bool {
        let is_young = self.0.get(&user_id).is_some_and(|at| is_within(*at, now, RENEWED));
        if !is_young {
            self.0.insert(user_id, now);
        }
        !is_young
    }

    /// Notes that a user does not have it; whether that is worth writing down.
    pub(crate) fn leave(&mut self, user_id: i64) -> bool {
        self.0.remove(&user_id).is_some()
    }

    /// Whether somebody has it.
    pub(crate) fn is_anyones(&self, now: Timestamp) -> bool {
        self.0.values().any(|at| is_within(*at, now, KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap()
    }

    #[test]
    fn a_refusal_is_news_once_and_again_when_it_changes() {
        let mut membership = Membership::default();
        assert!(membership.refuse(1, "402", at(0)));
        assert!(!membership.refuse(1, "402", at(1)));
        assert!(membership.refuse(1, "403", at(2)));
        assert!(membership.refuse(2, "403", at(2)));
        assert!(!membership.has_left(1));
    }

    #[test]
    fn a_workspace_is_somebodys_until_all_have_left_it_or_stay_away_for_a_week() {
        let mut members = Members::default();
        assert!(!members.is_anyones(at(0)));
        assert!(members.renew(1, at(0)) && members.renew(2, at(0)));
        assert!(!members.renew(1, at(12)) && members.renew(1, at(13)));
        assert!(members.leave(1) && !members.leave(1));
        assert!(members.is_anyones(at(7 * 24)));
        assert!(!members.is_anyones(at(7 * 24 + 1)));
    }
}
