//! What a run did, and why it ended early.

use std::time::Duration;

use jiff::Timestamp;
use shared::listing::Listing;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;
use uuid::Uuid;

use crate::publisher::{PublishError, Publisher};
use crate::state::{LeaseError, StateError};
use crate::toggl;

/// What a sync did. Every record counted here has been acknowledged by JetStream.
#[derive(Debug, Clone, Default)]
pub struct SyncResult {
    /// The run in messages and in the ledger.
    pub run_id: Uuid,
    /// Time entries sent of the days that were asked for.
    pub time_entries_count: usize,
    /// Entries of older days sent, which only reports have; none unless they were asked for.
    pub report_count: Option<usize>,
    /// Records sent per master over all workspaces, in the order of the catalogue; skipped ones are
    /// missing.
    pub masters_counts: Vec<(&'static str, usize)>,
    /// Resources that this account may not read, each with Toggl's reason.
    pub skipped: Vec<(&'static str, String)>,
    /// What was sent and may not be all there is, or lacks deletions, with the reason: nothing that is
    /// missing there was taken for deleted.
    pub uncertain: Vec<(&'static str, String)>,
    /// Resources that an interrupted run has read, and when; they are counted, and were not read again.
    pub earlier: Vec<(&'static str, Timestamp)>,
    /// Everybody's entries, where they were asked for.
    pub team: Vec<TeamResult>,
    /// What is worth knowing and wrong in no way, in sentences.
    pub notes: Vec<String>,
    /// What no record could be made of, each with its id, if it has one, and the reason. It was sent
    /// on as it is, for the loader to keep as a dead letter.
    pub rejected: Vec<(&'static str, Option<i64>, String)>,
    /// Records too large for the NATS server, by id. They were not sent.
    pub unsent: Vec<(&'static str, i64)>,
    /// Resources that failed and may work next time.
    pub failed: Vec<(&'static str, String)>,
    /// Workspaces that were read.
    pub workspace_ids: Vec<i64>,
    /// From the first request to the last acknowledgement.
    pub elapsed: Duration,
}

/// Everybody's entries of a workspace, from its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TeamResult {
    /// The workspace.
    pub workspace_id: i64,
    /// Days that were read, today included.
    pub days: u32,
    /// Entries that were sent.
    pub records: usize,
    /// When they were read: by an earlier run, if that is before this one.
    pub read_at: Timestamp,
}

impl SyncResult {
    /// Whether everything that was asked for has been sent, and is known to be all there is.
    pub const fn is_complete(&self) -> bool {
        self.skipped.is_empty()
            && self.uncertain.is_empty()
            && self.rejected.is_empty()
            && self.unsent.is_empty()
            && self.failed.is_empty()
    }

    /// Everything but skipped and failed resources that makes the result less than complete, in words: a run
    /// that goes on with this one says it again.
    pub(crate) fn not_known_complete(&self) -> Vec<(String, String)> {
        let uncertain = self.uncertain.iter().map(|(name, reason)| (name, reason.clone()));
        let rejected = self.rejected.iter().map(|(name, ..)| {
            (name, "a record of it could not be used and is a dead letter".to_owned())
        });
        let unsent = self
            .unsent
            .iter()
            .map(|(name, id)| (name, format!("record {id} is larger than the NATS server takes")));
        let all = uncertain.chain(rejected).chain(unsent);
        let mut all: Vec<_> = all.map(|(name, reason)| ((*name).to_owned(), reason)).collect();
        all.dedup();
        all
    }

    /// Takes over what became of the records of one resource.
    pub(crate) fn add(&mut self, tally: &mut Tally) {
        self.rejected.append(&mut tally.rejected);
        self.unsent.append(&mut tally.unsent);
        self.uncertain.append(&mut tally.uncertain);
    }
}

/// What became of the records of one resource.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Sent.
    pub(crate) records: usize,
    pub(crate) rejected: Vec<(&'static str, Option<i64>, String)>,
    pub(crate) unsent: Vec<(&'static str, i64)>,
    /// Why it may not be all there is.
    pub(crate) uncertain: Vec<(&'static str, String)>,
}

impl Tally {
    /// Publishes a listing, and notes and reports what in it could not be used or sent. Answers how
    /// many records were acknowledged.
    pub(crate) async fn send(
        &mut self,
        publisher: &Publisher,
        listing: Listing,
    ) -> Result<usize, PublishError> {
        let name = listing.resource.name;
        let rejected: Vec<_> =
            listing.rejected.iter().map(|r| (name, r.source_id, r.reason.clone())).collect();
        let published = publisher.publish(listing).await?;
        for (name, id, reason) in &rejected {
            let id = id.map_or_else(|| "without id".to_owned(), |id| id.to_string());
            warn!(target: ORCHESTRATOR, "Record {id} of {name} cannot be used: {reason}; sent as a dead letter");
        }
        for id in published.too_large {
            warn!(
                target: ORCHESTRATOR,
                "Record {id} of {name} was not sent: it is larger than the NATS server's max_payload"
            );
            self.unsent.push((name, id));
        }
        self.rejected.extend(rejected);
        Ok(published.records)
    }
}

/// Why a run ended early. What was sent before is stored, and harmless.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Toggl refuses the token, or /me does not answer.
    #[error(transparent)]
    Toggl(#[from] toggl::Error),
    /// A quota is used up for longer than the run may wait.
    #[error("{error}; {sent}, and the next run goes on with the rest")]
    Quota {
        /// Which, and when to come back.
        error: toggl::Error,
        /// What was sent.
        sent: String,
    },
    /// JetStream does not take the batches.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// JetStream does not keep what the next run needs.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another run of the same account is at work.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Neither the settings nor the profile name a workspace.
    #[error(
        "the Toggl profile has no default workspace; name one with --workspace (TOGGL_WORKSPACE_ID)"
    )]
    NoWorkspace,
    /// Toggl lists others than those that were named.
    #[error(
        "none of the workspaces {named} (--workspace, TOGGL_WORKSPACE_ID) is this account's; it has {there}"
    )]
    NotYours {
        /// What was asked for.
        named: String,
        /// Those of the account, with their names.
        there: String,
    },
    /// All were asked for, and Toggl named none.
    #[error("Toggl lists no workspace of this account; try again, or name one with --workspace")]
    NoneListed,
    /// The calendar ends before the window does.
    #[error("cannot reckon the days of the time entries")]
    Calendar(#[from] jiff::Error),
}
