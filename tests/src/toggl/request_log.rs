//! What was asked of the simulator, in the order it arrived.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

/// A request the simulator received.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// When it arrived.
    pub at: Instant,
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it was sent, still percent-encoded; empty without one.
    pub query: String,
    /// Whether it came with an `Authorization` header, of whatever kind.
    pub authorization: bool,
    /// What was posted; empty without a body.
    pub body: String,
    /// Unset until the answer is on its way.
    pub status: Option<u16>,
}

#[derive(Debug)]
pub(super) struct RequestLog {
    requests: Mutex<Vec<SeenRequest>>,
    changed: watch::Sender<()>,
}

impl RequestLog {
    pub(super) fn new() -> Self {
        Self { requests: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Notes an arrival; the number is for [`RequestLog::close`].
    pub(super) fn open(&self, request: SeenRequest) -> usize {
        let mut requests = self.lock();
        requests.push(request);
        let number = requests.len() - 1;
        drop(requests);
        self.changed.send_replace(());
        number
    }

    pub(super) fn close(&self, number: usize, status: u16) {
        if let Some(request) = self.lock().get_mut(number) {
            request.status = Some(status);
        }
        self.changed.send_replace(());
    }

    pub(super) fn all(&self) -> Vec<SeenRequest> {
        self.lock().clone()
    }

    pub(super) fn count(&self, path_prefix: &str) -> usize {
        self.lock().iter().filter(|request| request.path.starts_with(path_prefix)).count()
    }

    /// Returns once that many requests have arrived.
    pub(super) async fn wait_for(&self, path_prefix: &str, count: usize) {
        let mut changed = self.changed.subscribe();
        while self.count(path_prefix) < count {
            changed.changed().await.expect("the log holds the sender");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SeenRequest>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
