//! Log lines on stderr: `[2025-12-10 01:12:18] INFO  [toggl-orchestrator] Starting …` in UTC, or
//! one JSON object a line.
//!
//! What is done for a run of the fetcher is logged inside of [`run_span`], by either program. In JSON such a
//! line has the run's id in `span`; as text it ends with it where everything is logged. Where several accounts are
//! read at once, it has the account, too, whatever is logged.
//!
//! The component in brackets is the `target` of the event. Libraries are heard from WARN on.

use std::fmt;
use std::io::IsTerminal as _;

use clap::builder::EnumValueParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Span, Subscriber, error_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use uuid::Uuid;

use crate::settings::plain;

/// The fetcher's conductor.
pub const ORCHESTRATOR: &str = "toggl-orchestrator";
/// Runs by the clock.
pub const SCHEDULE: &str = "schedule";
/// Whole listings.
pub const MASTERS: &str = "toggl-masters";
/// Windows of time entries.
pub const TIME_ENTRIES: &str = "toggl-time-entries";
/// History from reports.
pub const REPORT: &str = "toggl-report";
/// Requests to Toggl.
pub const API: &str = "toggl-api";
/// Credentials.
pub const VAULT: &str = "vault";
/// Batches to JetStream.
pub const PUBLISHER: &str = "publisher";
/// Batches from JetStream.
pub const SUBSCRIBER: &str = "subscriber";
/// The stream read once more.
pub const REPLAY: &str = "replay";
/// The raw tables.
pub const RAW_CLIENT: &str = "raw-client";
/// What is older than it is to be kept.
pub const PRUNE: &str = "prune";
/// The copy of the time entries that the views read.
pub const SETTLE: &str = "settle";
/// Schema changes of the loader's database.
pub const MIGRATIONS: &str = "migrations";
/// The connection to NATS.
pub const NATS: &str = "nats";
/// What a program waits for before it can begin.
pub const START: &str = "start";
/// What Toggl tells by itself, and what is looked at for it.
pub const WEBHOOKS: &str = "toggl-webhooks";
/// What a loader serves for those who watch over it.
pub const HTTP: &str = "http";

/// Of no line, but of the span that lines about a run are in.
const RUN: &str = "run";
const RUN_ID: &str = "run_id=";
const ACCOUNT: &str = " account=";

const COMPONENTS: &[&str] = &[
    RUN,
    ORCHESTRATOR,
    SCHEDULE,
    MASTERS,
    TIME_ENTRIES,
    REPORT,
    API,
    VAULT,
    PUBLISHER,
    SUBSCRIBER,
    REPLAY,
    PRUNE,
    SETTLE,
    RAW_CLIENT,
    MIGRATIONS,
    NATS,
    START,
    WEBHOOKS,
    HTTP,
];

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, ValueEnum)]
pub enum LogLevel {
    /// Nothing, except what ends a command.
    #[value(alias = "none")]
    Off,
    /// Only what did not work.
    #[value(alias = "err", alias = "fatal", alias = "critical")]
    Error,
    /// Only what may need a person.
    #[value(alias = "warning")]
    Warn,
    /// Each step and its counts.
    #[default]
    #[value(alias = "information", alias = "notice")]
    Info,
    /// Every request, batch and wait.
    #[value(alias = "trace", alias = "verbose")]
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line, for machines.
    Json,
}

/// Logging settings of both binaries.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// How much to say on stderr.
    #[arg(long, env = "LOG_LEVEL", value_enum, default_value_t, value_parser = plain(EnumValueParser::<LogLevel>::new()), global = true)]
    pub log_level: LogLevel,
    /// Shape of a log line.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t, value_parser = plain(EnumValueParser::<LogFormat>::new()), global = true)]
    pub log_format: LogFormat,
}

impl LogArgs {
    /// The same, and no more than this.
    #[must_use]
    pub fn at_most(self, level: LogLevel) -> Self {
        Self { log_level: self.log_level.min(level), ..self }
    }
}

/// Starts logging; call it once, first thing in `main`.
///
/// # Errors
/// When a subscriber is already set.
pub fn init(args: LogArgs) -> Result<(), TryInitError> {
    let level = LevelFilter::from(args.log_level);
    let filter = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets(COMPONENTS.iter().map(|component| (*component, level)));
    let registry = tracing_subscriber::registry().with(filter);
    // Where it is closed or full, what is logged is lost, and nothing else.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let text = TextLine {
        names_runs: args.log_level >= LogLevel::Debug,
        is_for_people: std::io::stderr().is_terminal(),
    };
    match args.log_format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_span_list(false);
            registry.with(layer).try_init()
        }
        // Lines have no colours, and to ask for them without that feature of the crate is an error.
        LogFormat::Text => registry.with(layer.with_ansi(false).event_format(text)).try_init(),
    }
}

/// What lines about a run of the fetcher are logged in. At the highest level: else it would be
/// missing from warnings where only these are wanted. With an account's name, where there are several, every line
/// has that, too.
pub fn run_span(run_id: Uuid, account: Option<&str>) -> Span {
    let span = error_span!(target: RUN, "run", %run_id, account = Empty);
    if let Some(account) = account {
        span.record("account", display(account));
    }
    span
}

struct TextLine {
    /// Whether a line ends with the id of its run.
    names_runs: bool,
    /// On a terminal ids are short.
    is_for_people: bool,
}

impl TextLine {
    /// What a line says of its run, of the fields `run_id=… account=…`: of an id the first eight letters tell runs
    /// apart that are a minute apart.
    fn of_run<'a>(&self, fields: &'a str) -> (&'a str, &'a str) {
        let (id, account) = fields.split_at(fields.find(ACCOUNT).unwrap_or(fields.len()));
        let end = if self.is_for_people { RUN_ID.len() + 8 } else { id.len() };
        (if self.names_runs { id.get(..end).unwrap_or(id) } else { "" }, account)
    }
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S");
        let metadata = event.metadata();
        write!(writer, "[{now}] {:<5} [{}] ", metadata.level().as_str(), metadata.target())?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                let (id, account) = self.of_run(fields);
                let space = if id.is_empty() { "" } else { " " };
                write!(writer, "{space}{id}{account}")?;
            }
        }
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_shortly_to_people_and_its_account_always() {
        let line = |names_runs, is_for_people| TextLine { names_runs, is_for_people };
        let id = "run_id=01939a2c-7f3e-7bb2-9c52-0d1a2b3c4d5e";
        assert_eq!(line(true, true).of_run(id), ("run_id=01939a2c", ""));
        assert_eq!(line(true, false).of_run(id), (id, ""));
        assert_eq!(line(false, false).of_run(id), ("", ""));
        let both = format!("{id} account=eva");
        assert_eq!(line(true, false).of_run(&both), (id, " account=eva"));
        assert_eq!(line(true, true).of_run(&both), ("run_id=01939a2c", " account=eva"));
        assert_eq!(line(false, true).of_run(&both), ("", " account=eva"));
        assert_eq!(line(true, true).of_run("run_id=0193"), ("run_id=0193", ""));
    }

    #[test]
    fn less_is_said_than_was_asked_for_and_never_more() {
        let args = |log_level| LogArgs { log_level, log_format: LogFormat::Text };
        for (asked, said) in [
            (LogLevel::Debug, LogLevel::Warn),
            (LogLevel::Warn, LogLevel::Warn),
            (LogLevel::Off, LogLevel::Off),
        ] {
            assert_eq!(args(asked).at_most(LogLevel::Warn).log_level, said);
        }
    }
}
