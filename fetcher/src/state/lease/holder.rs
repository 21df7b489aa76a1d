//! Who holds a lease, and for which work.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a run does. A sync and a report of the same account may be at work at once: a report takes hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Sync,
    Report,
    Verify,
    Listen,
}

impl Work {
    pub(super) fn key(self, user_id: i64) -> String {
        match self {
            Self::Sync => format!("lease.{user_id}"),
            Self::Report => format!("lease.{user_id}.report"),
            Self::Verify => format!("lease.{user_id}.verify"),
            Self::Listen => format!("lease.{user_id}.listen"),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Report => "report",
            Self::Verify => "verification",
            Self::Listen => "listening",
        }
    }
}

/// Another run of the same account, and how long it was waited for.
#[derive(Debug, thiserror::Error)]
pub struct Running {
    pub(super) work: Work,
    pub(super) user_id: i64,
    pub(super) holder: Option<Holder>,
    pub(super) waited: Duration,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, user_id, holder, waited } = self;
        write!(f, "another run ({}) for the Toggl user {user_id} is at work", work.name())?;
        if let Some(holder) = holder {
            write!(f, " ({holder})")?;
        }
        let waited = Duration::from_secs(waited.as_secs());
        if !waited.is_zero() {
            write!(f, ", for longer than the {} to wait", humantime::format_duration(waited))?;
        }
        Ok(())
    }
}

/// Who holds a lease; for people, except that no two are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) run_id: Uuid,
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) started_at: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.started_at.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "process {} on {}, since {since}", self.pid, self.host)
    }
}
