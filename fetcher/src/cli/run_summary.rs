//! What a run leaves behind for machines: a summary in JSON, and metrics for the textfile collector of
//! Prometheus' node exporter. Both are written however the run ends.

use anyhow::anyhow;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use shared::destination::{Destination, DestinationError};
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::output;
use shared::settings::plain;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;

mod form;
mod textfile;

use self::form::outcome;
pub(super) use self::form::{AccountRun, RunSummary};

const SUMMARY: &str = "--summary-json";
const METRICS: &str = "--metrics-textfile";

/// Where a run writes about itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Afterwards")]
pub(super) struct RunSummaryArgs {
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

impl RunSummaryArgs {
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

impl RunSummary {
    /// Writes what was asked for. A run that succeeded fails where that cannot be written: whoever
    /// watches by these files would take an old one for news.
    pub(super) fn write(
        mut self,
        args: &RunSummaryArgs,
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

    fn write_files(&self, args: &RunSummaryArgs) -> anyhow::Result<()> {
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
