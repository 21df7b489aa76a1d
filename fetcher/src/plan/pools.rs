//! Requests of an hour: how many there are, and whose.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::toggl;

/// Toggl counts in fixed windows, from the first request on.
const WINDOW: SignedDuration = SignedDuration::from_secs(toggl::WINDOW.as_secs().cast_signed());
/// What a header rounds, and what a clock may be wrong by.
const SLACK: SignedDuration = SignedDuration::from_mins(1);
/// What every plan allows at least.
const LEAST_TOTAL: i64 = 30;

/// Requests that are counted together, of a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pool {
    /// Below `/me`.
    User(i64),
    /// An organisation's.
    Organization(i64, i64),
}

impl Pool {
    pub(crate) const fn user_id(self) -> i64 {
        match self {
            Self::User(user_id) | Self::Organization(user_id, _) => user_id,
        }
    }
}

/// What is said of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Observed {
    pub(crate) remaining: Option<i64>,
    pub(crate) resets_at: Option<Timestamp>,
    pub(crate) total: Option<i64>,
}

/// What is known of a pool.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PoolState {
    total: Option<i64>,
    /// The most that was ever there.
    seen: i64,
    /// Whether the present hour began before our eyes: only then is known what of it is somebody else's.
    is_watched: bool,
    /// Of the present hour; none of it before anybody has asked.
    remaining: Option<i64>,
    resets_at: Option<Timestamp>,
    ours: i64,
    /// What somebody else has spent in the last hour that was watched.
    others_before: i64,
}

impl PoolState {
    /// The end of the present hour, if one has begun.
    pub(super) const fn resets_at(&self) -> Option<Timestamp> {
        self.resets_at
    }

    /// Whether what is known of somebody else's requests is only that: no run from before is among them.
    pub(super) const fn is_watched(&self) -> bool {
        self.is_watched
    }

    pub(super) const fn ours(&self) -> i64 {
        self.ours
    }

    /// Whether nobody has taken anything, as far as is known.
    pub(super) fn is_untouched(&self) -> bool {
        self.remaining.is_none_or(|left| left >= self.total())
    }

    /// What an hour allows: as it was told, else as the headers let guess.
    pub(super) fn total(&self) -> i64 {
        self.total.unwrap_or(LEAST_TOTAL).max(self.seen)
    }

    /// What somebody else takes in an hour.
    pub(super) fn others(&self) -> i64 {
        self.others_now().max(self.others_before)
    }

    fn others_now(&self) -> i64 {
        self.remaining.map_or(0, |left| (self.total() - left - self.ours).max(0))
    }

    /// What may be taken in an hour.
    pub(super) fn budget(&self, share: u32) -> i64 {
        (self.total() - self.others()).max(0) * i64::from(share) / 100
    }

    /// What may still be taken in this one.
    pub(super) fn free(&self, share: u32) -> i64 {
        let rest = self.budget(share) - self.ours;
        self.remaining.filter(|left| *left >= 0).map_or(rest, |left| rest.min(left))
    }

    /// Requests that began then; the first of an hour begins it.
    pub(super) fn spend(&mut self, requests: u32, began: Timestamp) {
        self.ours += i64::from(requests);
        if self.resets_at.is_none() && requests > 0 {
            self.resets_at = began.saturating_add(WINDOW).ok();
            self.is_watched = true;
        }
    }

    pub(super) fn observe(&mut self, observed: Observed, now: Timestamp) {
        self.total = observed.total.or(self.total);
        let Some(resets_at) = observed.resets_at.filter(|at| *at > now) else { return };
        // Of a clock that was wrong.
        if resets_at.duration_since(now) > WINDOW + SLACK {
            return;
        }
        self.resets_at = Some(resets_at);
        // Toggl does not enforce what it counts below nothing.
        self.remaining = observed.remaining.or(self.remaining);
        self.seen = self.seen.max(self.remaining.map_or(0, |left| left + self.ours));
    }

    /// A new hour is full.
    pub(super) fn roll(&mut self, now: Timestamp) {
        if self.resets_at.is_some_and(|at| at <= now) {
            *self = Self {
                total: self.total,
                seen: self.seen,
                is_watched: true,
                others_before: if self.is_watched { self.others_now() } else { 0 },
                ..Self::default()
            };
        }
    }

    pub(super) fn shift(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        self.resets_at = self.resets_at.map(moved);
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user_id) => write!(f, "user {user_id}'s own requests"),
            Self::Organization(_, 0) => f.write_str("the workspaces' requests"),
            Self::Organization(_, id) => write!(f, "the requests of organisation {id}"),
        }
    }
}
