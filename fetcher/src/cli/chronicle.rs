//! What a run leaves behind for machines: a summary in JSON, and metrics for the textfile collector of
//! Prometheus' node exporter. Both are written however the run ends.

use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use jiff::Timestamp;
use serde::Serialize;
use shared::destination::{Destination, DestinationError};
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::output;
use shared::settings::plain;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;
use uuid::Uuid;

use crate::SyncResult;
use crate::publisher::Publisher;
use crate::toggl::{Bucket, Client};

mod textfile;

const SUMMARY: &str = "--summary-json";
const METRICS: &str = "--metrics-textfile";

/// Of the summary's form; it changes where a field goes or means something else.
const VERSION: u32 = 1;

/// Where a run writes about itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Afterwards")]
pub(super) struct ChronicleArgs {
    /// Write what a sync or report did to this file, as JSON: requests, waits, quotas, records. `-` is
    /// standard output; the usual summary then goes to standard error.
    #[arg(long, env = "FETCHER_SUMMARY_JSON", value_name = "FILE", value_parser = plain(destination()), global = true)]
    summary_json: Option<Destination>,
    /// Write the same as metrics of Prometheus to this file, in the folder that the node exporter's
    /// textfile collector reads; its name should end with `.prom`.
    #[arg(long, env = "FETCHER_METRICS_TEXTFILE", value_name = "FILE", value_parser = plain(destination()), global = true)]
    metrics_textfile: Option<Destination>,
}

/// A file, a device, a named pipe, or standard output.
fn destination() -> impl TypedValueParser<Value = Destination> {
    PathBufValueParser::new().map(Destination::from)
}

impl ChronicleArgs {
    fn destinations(&self) -> impl Iterator<Item = (&Destination, &'static str)> {
        let summary = self.summary_json.as_ref().map(|to| (to, SUMMARY));
        let metrics = self.metrics_textfile.as_ref().map(|to| (to, METRICS));
        summary.into_iter().chain(metrics)
    }

    /// Before any work is done: whether both can be written in the end.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        let to_stdout = self.destinations().filter(|(to, _)| **to == Destination::Stdout).count();
        if to_stdout > 1 {
            let words = "only one of --summary-json and --metrics-textfile can be standard output";
            return Err(anyhow!(words)).or_exit(Exit::Usage);
        }
        if to_stdout > 0 {
            output::take();
        }
        for (destination, setting) in self.destinations() {
            destination.check().map_err(|error| unwritten(error, setting)).or_exit(Exit::Failed)?;
        }
        Ok(())
    }
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
                let words = chain(error.as_ref());
                // It may be why there was no run.
                if words != chain(failure.error.as_ref()) {
                    warn!(target: ORCHESTRATOR, "{words}");
                }
                Err(failure)
            }
        }
    }

    fn write_files(&self, args: &ChronicleArgs) -> anyhow::Result<()> {
        let mut written = Ok(());
        // The one is written whatever becomes of the other.
        for (destination, setting) in args.destinations() {
            let text = match setting {
                SUMMARY => serde_json::to_string_pretty(self)? + "\n",
                _ => textfile::render(self)?,
            };
            let this = destination.write(text.as_bytes());
            written = written.and(this.map_err(|error| unwritten(error, setting)));
        }
        written
    }
}

fn unwritten(error: DestinationError, setting: &'static str) -> anyhow::Error {
    anyhow::Error::new(error).context(setting)
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
