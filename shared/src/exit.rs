//! How both binaries start, and how they end: one line for the user and an exit code.

use std::io::ErrorKind;
use std::process::ExitCode;

use rustls::crypto::{CryptoProvider, ring};

pub use crate::error_chain::chain;
use crate::output::{self, complain};
use crate::process;
use crate::telemetry::{self, LogArgs, LogLevel};

/// How a command ended, as a script or cron sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed, for a reason none of the others names.
    Failed = 1,
    /// The command line was wrong; clap's own code too.
    Usage = 2,
    /// Credentials are refused or missing.
    Credentials = 3,
    /// Toggl's hourly quota is used up.
    Quota = 4,
    /// NATS or Postgres is out of reach.
    Unreachable = 5,
    /// Finished, but not known to be complete: a resource was skipped, a record could not be sent or was kept
    /// as a dead letter, or what was read may lack something; of a status, that something needs attention.
    Incomplete = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  credentials refused or missing
  4  Toggl's hourly quota is used up
  5  NATS or Postgres is out of reach
  6  finished, but something is missing or uncertain: a resource was skipped, a record
     not sent, a listing not proven complete (its deletions wait for the next sync), or,
     with --wait, a run skipped or a batch kept as a dead letter; the summary names it.
     Of `loader status`: something needs attention";

/// A command that cannot go on: the line for the user, and the code for scripts.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What went wrong and what to do, with its causes.
    pub error: anyhow::Error,
}

/// Names the exit code of an error where it is passed on.
pub trait OrExit<T> {
    /// The same result, its error become a [`Failure`].
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// Hides the memory, sets up TLS, logging and the runtime, runs the command, and reports its failure.
/// What a quiet command prints is seen only if it does not end well.
pub fn run(
    log: LogArgs,
    quiet: bool,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> ExitCode {
    let log = if quiet {
        output::hold();
        log.at_most(LogLevel::Warn)
    } else {
        log
    };
    let ended = start(log, command);
    output::release(matches!(ended, Ok(Exit::Done)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => fail(&failure),
    }
}

/// Reports a failure; for one before [`run`].
pub fn fail(failure: &Failure) -> ExitCode {
    complain(chain(failure.error.as_ref()));
    failure.exit.into()
}

fn start(
    log: LogArgs,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    process::hide_memory().or_exit(Exit::Failed)?;
    ensure_tls_provider();
    telemetry::init(log).or_exit(Exit::Failed)?;
    tokio::runtime::Runtime::new().or_exit(Exit::Failed)?.block_on(command)
}

/// One provider for NATS, Postgres and Toggl: the process's own, if it has chosen one.
pub fn ensure_tls_provider() {
    if CryptoProvider::get_default().is_none() {
        // Whoever was faster has chosen.
        ring::default_provider().install_default().ok();
    }
}

/// Help, or what is wrong with the command line, as clap words it; and the code that clap has for it.
pub fn unparsed(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(unwritten) if !error.use_stderr() && unwritten.kind() != ErrorKind::BrokenPipe => {
            complain(format_args!("cannot write to standard output: {unwritten}"));
            Exit::Failed.into()
        }
        _ => u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}
