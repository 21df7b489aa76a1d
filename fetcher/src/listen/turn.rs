//! When the next look may take from a quota, after one that came to an end or failed.

use std::time::Duration;

use shared::exit::chain;
use shared::retry::Delays;
use shared::telemetry::WEBHOOKS;
use tokio::time::Instant;
use tracing::{error, warn};

use super::metrics::{LookKind, Metrics};
use crate::outcome::{SyncError, SyncResult};
use crate::toggl;

/// The first pause after a look that failed, and the longest.
const TROUBLE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(10));
/// So many looks in a row may be refused before what they were to see is left to the next report: what is refused may
/// stand in the way of all else.
const MOST_REFUSALS: u32 = 3;

/// When it is whose turn, and how often it was in vain.
#[derive(Debug, Default)]
pub(super) struct Turned {
    at: Option<Instant>,
    refusals: u32,
    delays: Option<Delays>,
}

/// How a look ended.
pub(super) enum Look {
    Done,
    /// To be looked at again.
    Left,
    /// Never again.
    Dropped,
}

impl Turned {
    pub(super) const fn at(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| at <= now)
    }

    fn next(&mut self, pause: Duration) {
        self.at = Instant::now().checked_add(pause);
    }
}

/// What a look came to. Trouble is waited out, ever longer; a refusal is not, for ever.
pub(super) fn judge(
    turn: &mut Turned,
    pause: Duration,
    kind: LookKind,
    outcome: Result<SyncResult, SyncError>,
    metrics: &Metrics,
) -> Result<Look, SyncError> {
    let (trouble, lasts) = match outcome {
        Err(error @ SyncError::Toggl(toggl::Error::Credentials { .. })) => return Err(error),
        Err(error @ (SyncError::Quota { .. } | SyncError::Toggl(toggl::Error::Quota { .. }))) => {
            metrics.looked(kind, "quota");
            warn!(target: WEBHOOKS, "Looking again with the next quota: {}", chain(&error));
            turn.next(pause);
            return Ok(Look::Left);
        }
        Err(error) => (chain(&error), lasts(&error)),
        Ok(result) if result.failed.is_empty() => {
            metrics.looked(kind, "done");
            *turn = Turned::default();
            turn.next(pause);
            return Ok(Look::Done);
        }
        Ok(result) => {
            let reasons = result.failed.iter().map(|(name, reason)| format!("{name}: {reason}"));
            (reasons.collect::<Vec<_>>().join("; "), false)
        }
    };
    metrics.looked(kind, "failed");
    turn.refusals += u32::from(lasts);
    if turn.refusals >= MOST_REFUSALS {
        error!(target: WEBHOOKS, "Gave up a look after {MOST_REFUSALS} refusals: {trouble}");
        *turn = Turned::default();
        turn.next(TROUBLE.1);
        return Ok(Look::Dropped);
    }
    let delays = turn.delays.get_or_insert_with(|| Delays::forever(TROUBLE.0, TROUBLE.1));
    let delay = delays.next_delay().unwrap_or(TROUBLE.1).max(pause);
    warn!(target: WEBHOOKS, "A look failed, again in {:.0} s: {trouble}", delay.as_secs_f64());
    turn.next(delay);
    Ok(Look::Left)
}

/// Whether Toggl would refuse the same again. All else passes, and what waits for that has its bounds.
fn lasts(error: &SyncError) -> bool {
    matches!(error, SyncError::Toggl(error) if error.is_closed())
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    fn judged(turn: &mut Turned, outcome: Result<SyncResult, SyncError>) -> Option<Look> {
        judge(turn, PAUSE, LookKind::Own, outcome, &Metrics::new()).ok()
    }

    fn failed() -> SyncResult {
        let failed = vec![("time_entries", "HTTP 500".to_owned())];
        SyncResult { failed, ..SyncResult::default() }
    }

    fn refused(status: StatusCode) -> SyncError {
        let (path, message) = ("/x".to_owned(), toggl::Words::default());
        toggl::Error::Status { path, status, message }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_out_and_what_is_refused_again_and_again_is_given_up() {
        let mut turn = Turned::default();
        let passing: [fn() -> Result<SyncResult, SyncError>; 2] =
            [|| Ok(failed()), || Err(refused(StatusCode::BAD_GATEWAY))];
        for outcome in passing {
            for _ in 0..20 {
                assert!(matches!(judged(&mut turn, outcome()), Some(Look::Left)));
                assert!(!turn.is_due(Instant::now()));
            }
        }
        let refuse = |turn: &mut Turned| judged(turn, Err(refused(StatusCode::BAD_REQUEST)));
        assert!(matches!(refuse(&mut turn), Some(Look::Left)));
        assert!(matches!(refuse(&mut turn), Some(Look::Left)));
        assert!(matches!(refuse(&mut turn), Some(Look::Dropped)));
        assert!(matches!(refuse(&mut turn), Some(Look::Left)), "it begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_look_the_next_one_waits_for_its_turn() {
        let mut turn = Turned::default();
        assert!(turn.is_due(Instant::now()));
        assert!(matches!(judged(&mut turn, Ok(SyncResult::default())), Some(Look::Done)));
        assert!(!turn.is_due(Instant::now()));
        tokio::time::advance(PAUSE).await;
        assert!(turn.is_due(Instant::now()));
    }

    #[tokio::test]
    async fn a_token_that_is_refused_ends_it() {
        let refused = toggl::Error::Credentials {
            status: StatusCode::UNAUTHORIZED,
            message: toggl::Words::default(),
        };
        assert!(judged(&mut Turned::default(), Err(refused.into())).is_none());
    }
}
