//! Hears whether it has gone quiet: a run that asks saw a change of the owner's entries that no event has announced.
//!
//! Toggl has stopped delivering without a word before. One such change proves nothing, for some are never announced,
//! as those that follow from the deletion of a project.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::exit::chain;
use shared::telemetry::WEBHOOKS;
use tracing::{debug, warn};

use super::bell::Bell;
use super::metrics::Metrics;
use crate::state::{Since, State};
use crate::toggl::Client;

/// An event comes within a second when all is well; Toggl's clocks and ours differ by seconds, and a delivery that
/// failed is tried again.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// Whoever compares what was announced with what was seen. It asks the bucket, and Toggl nothing.
pub(super) struct Watchdog<'a> {
    pub(super) client: &'a Client,
    pub(super) state: &'a State,
    pub(super) user_id: i64,
    pub(super) bell: Bell,
    pub(super) metrics: Metrics,
    /// Between two looks at the bucket.
    pub(super) every: Duration,
}

impl Watchdog<'_> {
    /// Until it is dropped.
    pub(super) async fn run(&self) {
        // What was changed before anybody listened was announced to nobody.
        let mut told = self.client.now();
        loop {
            tokio::time::sleep(self.every).await;
            let since: Option<Since> = match self.state.load(&Since::key(self.user_id)).await {
                Ok(since) => since,
                Err(error) => {
                    debug!(target: WEBHOOKS, "Could not look what runs have seen: {}", chain(&error));
                    continue;
                }
            };
            let Some(seen) = since.and_then(|since| since.newest_change) else { continue };
            if is_unannounced(seen, told, self.bell.own_at(), self.client.now()) {
                told = seen;
                self.metrics.unannounced();
                warn!(
                    target: WEBHOOKS,
                    "An entry was changed at {seen:.0}, and no event has announced it; if this comes again, Toggl \
                     may have stopped telling: look at its webhooks, or run `fetcher listen --unsubscribe` and start \
                     again"
                );
            }
        }
    }
}

/// Whether a change that was seen should have been announced by now, and was not said to be missing before.
fn is_unannounced(
    seen: Timestamp,
    told: Timestamp,
    announced: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    let is_late = now.duration_since(seen) > PATIENCE;
    let is_announced = announced.is_some_and(|at| seen.duration_since(at) <= PATIENCE);
    seen > told && is_late && !is_announced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn a_change_that_was_seen_and_never_announced_is_told_once_it_is_late() {
        let start = at(0);
        assert!(!is_unannounced(at(10), start, None, at(12)), "an event may still come");
        assert!(is_unannounced(at(10), start, None, at(16)));
        assert!(is_unannounced(at(10), start, Some(at(2)), at(16)), "that was another");
        assert!(!is_unannounced(at(10), start, Some(at(9)), at(16)));
        assert!(!is_unannounced(at(10), start, Some(at(11)), at(16)));
        assert!(!is_unannounced(at(10), at(10), None, at(16)), "it was told");
        assert!(!is_unannounced(at(-5), start, None, at(16)), "nobody listened");
    }
}
