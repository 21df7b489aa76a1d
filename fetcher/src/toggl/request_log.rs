//! What was asked of Toggl in a run, and what the run waited for: counted, for whoever watches over it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A shorter wait is only the scheduler's.
const LEAST_WAIT: Duration = Duration::from_millis(5);

/// Requests and waits of a client so far.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    /// By endpoint (`GET /api/v9/workspaces/{id}/tags`) and status; none where no answer came.
    pub requests: BTreeMap<(String, Option<u16>), Requests>,
    /// By what was waited for.
    pub waits: BTreeMap<Wait, Waits>,
}

/// Requests of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// Bytes of all bodies that came.
    pub bytes: u64,
}

/// Waits of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// Together; of tasks that waited at the same time, each counts.
    pub total: Duration,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// A turn: the steady pace, and pauses that a 429 asks for.
    Pace,
    /// The reset of an hourly quota.
    Quota,
    /// The second try after a 5xx or a broken connection.
    Retry,
}

impl Wait {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pace => "pace",
            Self::Quota => "quota",
            Self::Retry => "retry",
        }
    }
}

/// What all tasks of a client count in.
#[derive(Debug, Default)]
pub(super) struct Meter {
    log: Mutex<RequestLog>,
}

impl Meter {
    pub(super) fn requested(&self, method: &str, path: &str, status: Option<u16>, bytes: usize) {
        let mut log = self.locked();
        let requests = log.requests.entry((endpoint(method, path), status)).or_default();
        requests.count += 1;
        requests.bytes += bytes as u64;
    }

    /// Sees how long that takes.
    pub(super) async fn waiting<T>(&self, wait: Wait, waited: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = waited.await;
        let elapsed = started.elapsed();
        if elapsed >= LEAST_WAIT {
            let mut log = self.locked();
            let waits = log.waits.entry(wait).or_default();
            waits.count += 1;
            waits.total += elapsed;
        }
        result
    }

    pub(super) fn log(&self) -> RequestLog {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids left out: there are as many endpoints as kinds of request, whatever the account holds.
fn endpoint(method: &str, path: &str) -> String {
    let is_id =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    let segments = path.split('/').map(|segment| if is_id(segment) { "{id}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_status() {
        let meter = Meter::default();
        meter.requested("GET", "/api/v9/workspaces/1/tags", Some(200), 10);
        meter.requested("GET", "/api/v9/workspaces/23/tags", Some(200), 5);
        meter.requested("GET", "/api/v9/workspaces/23/tags", None, 0);
        let requests = meter.log().requests;
        let tags = |status| requests[&("GET /api/v9/workspaces/{id}/tags".to_owned(), status)];
        assert_eq!((tags(Some(200)).count, tags(Some(200)).bytes), (2, 15));
        assert_eq!((tags(None).count, tags(None).bytes), (1, 0));
    }
}
