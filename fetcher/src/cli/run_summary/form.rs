//! What a summary tells, account by account.

use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;
use shared::exit::{Exit, Failure, chain};
use uuid::Uuid;

use crate::outcome::SyncResult;
use crate::publisher::Publisher;
use crate::toggl::{Bucket, Client};

/// Of the summary's form; it changes where a field goes or means something else.
const VERSION: u32 = 1;

/// One run over one or more accounts.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct RunSummary {
    pub(super) version: u32,
    pub(super) command: &'static str,
    pub(super) started_at: Timestamp,
    pub(super) duration_seconds: f64,
    pub(super) exit_code: u8,
    pub(super) error: Option<String>,
    /// In their order.
    pub(in crate::cli) accounts: Vec<AccountRun>,
    #[serde(skip)]
    pub(super) started: Instant,
}

/// What was done for one account.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct AccountRun {
    pub(super) account: String,
    pub(super) run_id: Uuid,
    /// None while it is not known how it ended, as of a run that was interrupted.
    pub(super) exit_code: Option<u8>,
    pub(super) error: Option<String>,
    pub(super) requests: Vec<RequestCount>,
    pub(super) waits: Vec<WaitCount>,
    pub(super) quotas: Vec<QuotaLeft>,
    pub(super) records: Vec<SentCount>,
    pub(super) skipped: Vec<Unread>,
    pub(super) uncertain: Vec<Unread>,
    pub(super) failed: Vec<Unread>,
    pub(super) dead_letters: usize,
    pub(super) unsent: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct RequestCount {
    pub(super) endpoint: String,
    /// None where no answer came.
    pub(super) status: Option<u16>,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct WaitCount {
    pub(super) reason: &'static str,
    pub(super) count: u64,
    pub(super) seconds: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct QuotaLeft {
    /// `user` or `workspace`.
    pub(super) scope: &'static str,
    pub(super) workspace_id: Option<i64>,
    pub(super) remaining: Option<i64>,
    pub(super) resets_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct SentCount {
    pub(super) resource: &'static str,
    pub(super) records: u64,
    pub(super) batches: u64,
    pub(super) bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Unread {
    pub(super) resource: &'static str,
    pub(super) reason: String,
}

impl RunSummary {
    pub(in crate::cli) fn begin(command: &'static str) -> Self {
        Self {
            version: VERSION,
            command,
            started_at: Timestamp::now(),
            duration_seconds: 0.0,
            exit_code: 0,
            error: None,
            accounts: Vec::new(),
            started: Instant::now(),
        }
    }
}

impl AccountRun {
    /// What was asked and sent for an account, whether or not that ended well.
    pub(in crate::cli) fn of(account: &str, client: &Client, publisher: &Publisher) -> Self {
        let log = client.request_log();
        let requests = log.requests.into_iter().map(|((endpoint, status), requests)| {
            RequestCount { endpoint, status, count: requests.count, bytes: requests.bytes }
        });
        let waits = log.waits.into_iter().map(|(wait, waits)| WaitCount {
            reason: wait.name(),
            count: waits.count,
            seconds: waits.total.as_secs_f64(),
        });
        let now = Timestamp::now();
        let quotas = client.quota_states().into_iter().map(|(bucket, quota)| {
            let (scope, workspace_id) = match bucket {
                Bucket::User => ("user", None),
                Bucket::Workspace(id) => ("workspace", Some(id).filter(|id| *id != 0)),
            };
            let remaining = quota.left(now);
            QuotaLeft { scope, workspace_id, remaining, resets_at: quota.resets_at }
        });
        let records = publisher.sent().into_iter().map(|(resource, sent)| SentCount {
            resource,
            records: sent.records,
            batches: sent.batches,
            bytes: sent.bytes,
        });
        Self {
            account: account.to_owned(),
            run_id: publisher.run_id(),
            exit_code: None,
            error: None,
            requests: requests.collect(),
            waits: waits.collect(),
            quotas: quotas.collect(),
            records: records.collect(),
            skipped: Vec::new(),
            uncertain: Vec::new(),
            failed: Vec::new(),
            dead_letters: 0,
            unsent: 0,
        }
    }

    /// What it lacks.
    pub(in crate::cli) fn lacks(&mut self, result: &SyncResult) {
        self.skipped = unread(&result.skipped);
        self.uncertain = unread(&result.uncertain);
        self.failed = unread(&result.failed);
        self.dead_letters = result.rejected.len();
        self.unsent = result.unsent.len();
    }

    /// How it ended.
    pub(in crate::cli) fn ended(&mut self, ended: &Result<Exit, Failure>) {
        let (exit, error) = outcome(ended);
        (self.exit_code, self.error) = (Some(exit), error);
    }
}

fn unread(resources: &[(&'static str, String)]) -> Vec<Unread> {
    let unread =
        |(resource, reason): &(&'static str, String)| Unread { resource, reason: reason.clone() };
    resources.iter().map(unread).collect()
}

pub(super) fn outcome(ended: &Result<Exit, Failure>) -> (u8, Option<String>) {
    match ended {
        Ok(exit) => (*exit as u8, None),
        Err(Failure { exit, error }) => (*exit as u8, Some(chain(error.as_ref()))),
    }
}
