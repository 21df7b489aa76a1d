//! What became of one listing.

use jiff::Timestamp;
use shared::exit::chain;
use shared::retry::Disposition;

use crate::lists::{Broken, Fetched};
use crate::outcome::{SyncError, Tally};
use crate::publisher::Publisher;
use crate::state::Seen;
use crate::toggl;

/// What became of one listing.
pub(in crate::orchestrator) enum Outcome {
    Sent(Sent),
    Skipped(Refusal),
    Failed(String),
    /// A quota ran out; this many records were sent, and the page to go on with.
    OutOfQuota(toggl::Error, usize, usize),
}

/// Why a listing is closed to the account.
pub(in crate::orchestrator) struct Refusal {
    pub(in crate::orchestrator) reason: String,
    /// What Toggl said, whichever listing it was.
    pub(in crate::orchestrator) told: String,
}

impl Refusal {
    pub(in crate::orchestrator) fn of(error: &toggl::Error) -> Self {
        Self { reason: chain(error), told: error.told() }
    }
}

/// A listing that was sent.
pub(in crate::orchestrator) struct Sent {
    pub(in crate::orchestrator) records: usize,
    pub(super) at: Timestamp,
    pub(super) doubt: Option<String>,
    pub(super) seen: Option<Seen>,
}

/// Publishes what was fetched, or decides what its error means for the run.
pub(super) async fn settle(
    publisher: &Publisher,
    fetched: Result<Fetched, Box<Broken>>,
    tally: &mut Tally,
) -> Result<Outcome, SyncError> {
    match fetched {
        Ok(Fetched { listing, doubt, seen }) => {
            let at = listing.fetched_at;
            let records = tally.send(publisher, listing).await?;
            Ok(Outcome::Sent(Sent { records, at, doubt, seen }))
        }
        Err(broken) => {
            let Broken { error, read, next_page } = *broken;
            if matches!(error, toggl::Error::Quota { .. }) {
                let sent = tally.send(publisher, read).await?;
                return Ok(Outcome::OutOfQuota(error, sent, next_page));
            }
            refused(error)
        }
    }
}

/// What an error means for the run, before anything of its listing came.
pub(in crate::orchestrator) fn outcome_of(error: toggl::Error) -> Result<Outcome, SyncError> {
    match error {
        error @ toggl::Error::Quota { .. } => Ok(Outcome::OutOfQuota(error, 0, 1)),
        error => refused(error),
    }
}

/// What an error means for the run; a quota is somebody else's to decide.
pub(in crate::orchestrator) fn refused(error: toggl::Error) -> Result<Outcome, SyncError> {
    match error.disposition() {
        Disposition::Stop => Err(error.into()),
        Disposition::Skip => Ok(Outcome::Skipped(Refusal::of(&error))),
        Disposition::Retry(_) => Ok(Outcome::Failed(chain(&error))),
    }
}
