//! What a run did, and why it ended early.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

mod error;
mod tally;

pub use self::error::SyncError;
pub(crate) use self::tally::Tally;

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

    /// Takes over what another part of the run lacks.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.skipped.append(&mut other.skipped);
        self.uncertain.append(&mut other.uncertain);
        self.rejected.append(&mut other.rejected);
        self.unsent.append(&mut other.unsent);
        self.failed.append(&mut other.failed);
    }

    /// Takes over what became of the records of one resource.
    pub(crate) fn add(&mut self, tally: &mut Tally) {
        self.rejected.append(&mut tally.rejected);
        self.unsent.append(&mut tally.unsent);
        self.uncertain.append(&mut tally.uncertain);
    }
}
