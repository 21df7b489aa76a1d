//! The hourly quotas of a token: what is left of each, and waiting for one that is used up.
//!
//! Toggl counts requests in fixed windows of an hour: everything below `/me` in one bucket of the
//! user's, everything else in one of each organisation (support.toggl.com, "API & webhook limits").
//! Every answer's headers say what is left in the bucket it was counted in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::telemetry::API;
use tracing::warn;

use super::limit_headers;
use crate::progress_bar::Countdown;

/// Toggl counts in windows of this length: a quota that names no reset is full again after it at the latest.
pub(crate) const WINDOW: Duration = Duration::from_hours(1);
/// Toggl counts in whole seconds; a request at the very second of the reset may be too early.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);
/// Windows whose ends lie closer together are the same, reckoned from different answers.
pub(crate) const SAME_WINDOW: Duration = Duration::from_mins(1);

/// Which quota a request counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// The user's own: `/me` and below.
    User,
    /// That of the organisation of this workspace; 0 where the path names no workspace. Workspaces
    /// of one organisation share it, which each learns from its own answers.
    Workspace(i64),
}

impl Bucket {
    /// The bucket of a path from the root, with the API's prefix.
    pub fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip_while(|segment| !is_scope(segment));
        match (segments.next(), segments.next()) {
            (Some("me"), _) => Self::User,
            (_, id) => Self::Workspace(id.and_then(|id| id.parse().ok()).unwrap_or_default()),
        }
    }
}

/// What stands before the id of a workspace; webhooks have a word for each thing that is done with them.
fn is_scope(segment: &str) -> bool {
    matches!(
        segment,
        "me" | "workspaces" | "workspace" | "subscriptions" | "limits" | "ping" | "validate"
    )
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("your own requests (/me)"),
            Self::Workspace(0) => f.write_str("the workspaces' requests"),
            Self::Workspace(id) => write!(f, "the requests of workspace {id}"),
        }
    }
}

/// What is known of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QuotaState {
    /// Requests left when it was last heard of; negative while Toggl does not enforce the quota.
    pub remaining: Option<i64>,
    /// When it is full again.
    pub resets_at: Option<Timestamp>,
    /// Whether a request was refused for it, so that asking again before the reset is in vain.
    pub used_up: bool,
}

impl QuotaState {
    /// What is left now; none when that is unknown, or was counted in a window that has ended.
    pub fn left(&self, now: Timestamp) -> Option<i64> {
        self.resets_at.filter(|resets_at| *resets_at > now).and(self.remaining)
    }

    /// Whether it was counted in the window that ends then, as far as whole seconds tell.
    fn is_of_window(self, resets_at: Option<Timestamp>) -> bool {
        let apart = self.resets_at.zip(resets_at).map(|(a, b)| a.duration_since(b).unsigned_abs());
        apart.is_some_and(|apart| apart < SAME_WINDOW)
    }

    fn blocks(self) -> bool {
        self.used_up && self.resets_at.is_none_or(|at| at > Timestamp::now())
    }
}

/// What is known of every bucket, and the requests of this process in each.
pub type QuotaStates = BTreeMap<Bucket, QuotaState>;

/// A quota is used up for longer than the run is willing to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct UsedUp {
    pub(super) resets_at: Option<Timestamp>,
}

/// The buckets that all tasks of a client share.
#[derive(Debug)]
pub(super) struct Quotas {
    max_wait: Duration,
    state: Mutex<State>,
    /// Held by whoever shows the countdown.
    display: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    states: QuotaStates,
    requests: BTreeMap<Bucket, u32>,
}

impl Quotas {
    pub(super) fn new(max_wait: Duration) -> Self {
        Self { max_wait, state: Mutex::default(), display: tokio::sync::Mutex::default() }
    }

    /// Lets a request pass whose quota is not known to be used up. A reset within the longest wait
    /// is waited for, with a countdown; answers whether it was.
    pub(super) async fn admit(&self, bucket: Bucket) -> Result<bool, UsedUp> {
        let mut waited = false;
        while let Some(known) = self.blocking(bucket) {
            let wait = until(known.resets_at).saturating_add(MARGIN);
            if wait > self.max_wait.saturating_add(MARGIN) {
                return Err(UsedUp { resets_at: known.resets_at });
            }
            match self.display.try_lock() {
                Ok(_shown) => {
                    warn!(
                        target: API,
                        "Toggl's quota for {bucket} is used up, waiting {} s for its reset",
                        wait.as_secs()
                    );
                    Countdown::new("Toggl's quota resets in").run(wait).await;
                }
                Err(_) => tokio::time::sleep(wait).await,
            }
            waited = true;
        }
        Ok(waited)
    }

    /// Notes what an answer's headers said.
    pub(super) fn note(&self, bucket: Bucket, quota: limit_headers::Quota, used_up: bool) {
        let mut state = self.locked();
        if !used_up {
            *state.requests.entry(bucket).or_default() += 1;
        }
        // An answer that was on its way when the quota ran out does not fill it again.
        let known = state.states.get(&bucket).copied().unwrap_or_default();
        if used_up || (!known.blocks() && quota != limit_headers::Quota::default()) {
            let wait = quota.resets_in.or(used_up.then_some(WINDOW));
            let resets_at = wait.and_then(|wait| Timestamp::now().checked_add(wait).ok());
            let remaining = match quota.remaining {
                _ if used_up => Some(0),
                // Answers overtake each other; within a window there is never more left.
                Some(left) if known.is_of_window(resets_at) => {
                    Some(left.min(known.remaining.unwrap_or(left)))
                }
                left => left,
            };
            state.states.insert(bucket, QuotaState { remaining, resets_at, used_up });
        }
    }

    /// What is known from an earlier run; what this one has heard itself counts more.
    pub(super) fn remember(&self, states: &QuotaStates) {
        let mut state = self.locked();
        for (bucket, known) in states {
            state.states.entry(*bucket).or_insert(*known);
        }
    }

    pub(super) fn states(&self) -> QuotaStates {
        self.locked().states.clone()
    }

    /// Requests that counted, in this process.
    pub(super) fn requests(&self) -> BTreeMap<Bucket, u32> {
        self.locked().requests.clone()
    }

    fn blocking(&self, bucket: Bucket) -> Option<QuotaState> {
        self.locked().states.get(&bucket).copied().filter(|known| known.blocks())
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now until then; nothing if it has passed, the longest there is if it is unknown.
pub(crate) fn until(at: Option<Timestamp>) -> Duration {
    at.map_or(WINDOW, |at| at.duration_since(Timestamp::now()).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_in_the_quota_of_its_owner() {
        for (path, bucket) in [
            ("/api/v9/me", Bucket::User),
            ("/api/v9/me/time_entries", Bucket::User),
            ("/api/v9/workspaces", Bucket::Workspace(0)),
            ("/api/v9/workspaces/12/tags", Bucket::Workspace(12)),
            ("/reports/api/v3/workspace/12/search/time_entries", Bucket::Workspace(12)),
            ("/webhooks/api/v1/subscriptions/12/7/events", Bucket::Workspace(12)),
            ("/webhooks/api/v1/ping/12/7", Bucket::Workspace(12)),
        ] {
            assert_eq!(Bucket::of(path), bucket, "{path}");
        }
    }

    fn used_up(seconds: u64) -> limit_headers::Quota {
        limit_headers::Quota { remaining: Some(0), resets_in: Some(Duration::from_secs(seconds)) }
    }

    #[tokio::test]
    async fn a_quota_that_is_used_up_stops_its_own_requests_and_no_others() {
        let quotas = Quotas::new(Duration::from_secs(5));
        quotas.note(Bucket::User, used_up(60), true);
        assert!(quotas.admit(Bucket::User).await.is_err());
        assert!(quotas.admit(Bucket::Workspace(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_window_that_has_ended_blocks_nothing_and_tells_nothing() {
        let quotas = Quotas::new(Duration::ZERO);
        quotas.note(Bucket::User, used_up(0), true);
        assert!(quotas.admit(Bucket::User).await.is_ok());
        assert_eq!(quotas.states()[&Bucket::User].left(Timestamp::now()), None);
    }

    #[tokio::test]
    async fn nothing_left_is_no_refusal_yet() {
        let quotas = Quotas::new(Duration::ZERO);
        quotas.note(Bucket::User, used_up(60), false);
        assert!(quotas.admit(Bucket::User).await.is_ok());
        assert_eq!(quotas.states()[&Bucket::User].left(Timestamp::now()), Some(0));
    }
}
