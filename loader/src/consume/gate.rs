//! What is closed for a while after a failure. When the time is over one goes ahead and tries; it opens
//! for everybody with the first success.

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::{Instant, sleep_until};

#[derive(Debug)]
pub(crate) struct Gate {
    closed_until: watch::Sender<Option<Instant>>,
    /// Held by the one who tries.
    trying: Mutex<()>,
}

/// The right to try while the gate is closed, for as long as it is held.
pub(crate) type Trying<'a> = MutexGuard<'a, ()>;

impl Default for Gate {
    fn default() -> Self {
        Self { closed_until: watch::Sender::new(None), trying: Mutex::new(()) }
    }
}

impl Gate {
    /// After a success; true if it was closed.
    pub(crate) fn open(&self) -> bool {
        self.closed_until.send_if_modified(|until| until.take().is_some())
    }

    /// After a failure.
    pub(crate) fn close(&self, until: Instant) {
        self.closed_until.send_replace(Some(until));
    }

    pub(crate) fn is_open(&self) -> bool {
        self.closed_until.borrow().is_none()
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) {
        let mut until = self.closed_until.subscribe();
        // The sender lives as long as the gate.
        until.wait_for(Option::is_none).await.ok();
    }

    /// Waits until it is open, or until it is one's turn to try.
    pub(crate) async fn pass(&self) -> Option<Trying<'_>> {
        tokio::select! {
            biased;
            () = self.opened() => None,
            trying = self.turn() => Some(trying),
        }
    }

    async fn turn(&self) -> Trying<'_> {
        let trying = self.trying.lock().await;
        loop {
            let until = *self.closed_until.borrow();
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return trying,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn one_tries_when_the_time_is_over_and_the_others_wait_for_what_comes_of_it() {
        let gate = Gate::default();
        assert!(gate.pass().await.is_none(), "open");
        let start = Instant::now();
        gate.close(start + DELAY);
        let trying = gate.pass().await;
        assert!(trying.is_some() && start.elapsed() >= DELAY);
        let mut second = Box::pin(gate.pass());
        assert!(tokio::time::timeout(DELAY * 10, &mut second).await.is_err(), "two try at once");

        gate.close(Instant::now() + DELAY);
        drop(trying);
        let again = Instant::now();
        assert!(second.await.is_some());
        assert!(again.elapsed() >= DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_for_everybody_at_once() {
        let gate = Gate::default();
        gate.close(Instant::now() + DELAY);
        let (opened, passed) = tokio::join!(async { gate.open() }, gate.pass());
        assert!(opened && passed.is_none() && gate.is_open());
        assert!(!gate.open(), "it was open");
    }
}
