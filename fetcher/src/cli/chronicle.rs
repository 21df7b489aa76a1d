//! What a run leaves behind for machines: a summary in JSON, and metrics for the textfile collector of
//! Prometheus' node exporter. Both are written however the run ends.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;
use uuid::Uuid;

use crate::SyncResult;
use crate::publisher::Publisher;
use crate::toggl::{Bucket, Client};

mod textfile;

/// Of the summary's form; it changes where a field goes or means something else.
const VERSION: u32 = 1;

/// Where a run writes about itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Afterwards")]
pub(super) struct ChronicleArgs {
    /// Write what a sync or report did to this file, as JSON: requests, waits, quotas, records.
    #[arg(long, env = "FETCHER_SUMMARY_JSON", value_name = "FILE", global = true)]
    summary_json: Option<PathBuf>,
    /// Write the same as metrics of Prometheus to this file, in the folder that the node exporter's
    /// textfile collector reads; its name should end with `.prom`.
    #[arg(long, env = "FETCHER_METRICS_TEXTFILE", value_name = "FILE", global = true)]
    metrics_textfile: Option<PathBuf>,
}

/// One run over one or more accounts.
#[derive(Debug, Serialize)]
pub(super) struct Chronicle {
    version: u32,
    command: &'static str,
    started_at: Timestamp,
    duration_seconds: f64,
    exit_code: u8,
    error: Option<String>,
    accounts: Vec<AccountRun>,
    #[serde(skip)]
    started: Instant,
}

/// What was done for one account.
#[derive(Debug, Serialize)]
struct AccountRun {
    account: String,
    run_id: Uuid,
    /// None while it is not known how it ended, as of a run that was interrupted.
    exit_code: Option<u8>,
    error: Option<String>,
    requests: Vec<RequestCount>,
    waits: Vec<WaitCount>,
    quotas: Vec<QuotaLeft>,
    records: Vec<SentCount>,
    skipped: Vec<Unread>,
    uncertain: Vec<Unread>,
    failed: Vec<Unread>,
    dead_letters: usize,
    unsent: usize,
}

#[derive(Debug, Serialize)]
struct RequestCount {
    endpoint: String,
    /// None where no answer came.
    status: Option<u16>,
    count: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct WaitCount {
    reason: &'static str,
    count: u64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct QuotaLeft {
    /// `user` or `workspace`.
    scope: &'static str,
    workspace_id: Option<i64>,
    remaining: Option<i64>,
    resets_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct SentCount {
    resource: &'static str,
    records: u64,
    batches: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Unread {
    resource: &'static str,
    reason: String,
}

impl Chronicle {
    pub(super) fn begin(command: &'static str) -> Self {
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

    /// What was asked and sent for an account, whether or not that ended well.
    pub(super) fn note(&mut self, account: &str, client: &Client, publisher: &Publisher) {
        let traffic = client.traffic();
        let requests = traffic.requests.into_iter().map(|((endpoint, status), requests)| {
            RequestCount { endpoint, status, count: requests.count, bytes: requests.bytes }
        });
        let waits = traffic.waits.into_iter().map(|(wait, waits)| WaitCount {
            reason: wait.name(),
            count: waits.count,
            seconds: waits.total.as_secs_f64(),
        });
        let now = Timestamp::now();
        let quotas = client.standings().into_iter().map(|(bucket, standing)| {
            let (scope, workspace_id) = match bucket {
                Bucket::User => ("user", None),
                Bucket::Workspace(id) => ("workspace", Some(id).filter(|id| *id != 0)),
            };
            let remaining = standing.left(now);
            QuotaLeft { scope, workspace_id, remaining, resets_at: standing.resets_at }
        });
        let records = publisher.sent().into_iter().map(|(resource, sent)| SentCount {
            resource,
            records: sent.records,
            batches: sent.batches,
            bytes: sent.bytes,
        });
        self.accounts.push(AccountRun {
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
        });
    }

    /// What the account noted last lacks.
    pub(super) fn lacks(&mut self, result: &SyncResult) {
        let Some(run) = self.accounts.last_mut() else { return };
        run.skipped = unread(&result.skipped);
        run.uncertain = unread(&result.uncertain);
        run.failed = unread(&result.failed);
        run.dead_letters = result.rejected.len();
        run.unsent = result.unsent.len();
    }

    /// How the run of the account noted last ended.
    pub(super) fn ended(&mut self, ended: &Result<Exit, Failure>) {
        let Some(run) = self.accounts.last_mut() else { return };
        let (exit, error) = outcome(ended);
        (run.exit_code, run.error) = (Some(exit), error);
    }

    /// Writes what was asked for. A run that succeeded fails where that cannot be written: whoever
    /// watches by these files would take an old one for news.
    pub(super) fn write(
        mut self,
        args: &ChronicleArgs,
        ended: Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        (self.exit_code, self.error) = outcome(&ended);
        self.duration_seconds = self.started.elapsed().as_secs_f64();
        let written = self.write_files(args);
        match (ended, written) {
            (ended, Ok(())) => ended,
            (Ok(_), Err(error)) => Err(error).or_exit(Exit::Failed),
            (Err(failure), Err(error)) => {
                warn!(target: ORCHESTRATOR, "{}", chain(error.as_ref()));
                Err(failure)
            }
        }
    }

    fn write_files(&self, args: &ChronicleArgs) -> anyhow::Result<()> {
        if let Some(path) = &args.summary_json {
            let mut json = serde_json::to_string_pretty(self)?;
            json.push('\n');
            write(path, &json).with_context(|| cannot_write(path, "--summary-json"))?;
        }
        if let Some(path) = &args.metrics_textfile {
            let text = textfile::render(self)?;
            write(path, &text).with_context(|| cannot_write(path, "--metrics-textfile"))?;
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, setting: &str) -> String {
    format!("cannot write {} ({setting}); does its folder exist, and may we?", path.display())
}

fn unread(resources: &[(&'static str, String)]) -> Vec<Unread> {
    let unread =
        |(resource, reason): &(&'static str, String)| Unread { resource, reason: reason.clone() };
    resources.iter().map(unread).collect()
}

fn outcome(ended: &Result<Exit, Failure>) -> (u8, Option<String>) {
    match ended {
        Ok(exit) => (*exit as u8, None),
        Err(Failure { exit, error }) => (*exit as u8, Some(chain(error.as_ref()))),
    }
}

/// Whole or not at all: a reader sees the old file or the new one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".fetcher-")
        // For others to read, as far as the umask lets them.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
