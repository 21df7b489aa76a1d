//! A server process that ends with its owner, however the owner ends: also by SIGKILL.
//!
//! Between the two stands a small shell, the watchdog. Its standard input is a pipe whose other end
//! only the owner holds; when that closes, the watchdog ends the server. When the server ends by
//! itself, so does the watchdog, with the server's exit code. Both live in a process group of their
//! own, so that a terminal's Ctrl-C reaches the owner first.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::account::Account;
use super::wait::wait_for;

/// Arguments: the log, the signal that ends the server, the server's command line. The server gets
/// neither the pipe (descriptor 3) nor the standard output, on which its pid is told. A stopped
/// server only hears a signal after CONT; one that does not listen for five seconds is killed.
const WATCHDOG: &str = r#"
log=$1 end=$2
shift 2
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
server=$!
echo "$server"
(
    while read -r _; do :; done
    kill -s "$end" "$server"
    kill -s CONT "$server"
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.5
        kill -0 "$server" || exit
    done
    kill -s KILL "$server"
) <&3 >/dev/null 2>&1 &
guard=$!
wait "$server"
status=$?
kill -s KILL "$guard" 2>/dev/null
exit "$status"
"#;

/// A server that was told to stop gets this long.
const STOP_DEADLINE: Duration = Duration::from_mins(1);
/// As much of a log as an error shows.
const LOG_TAIL_LINES: usize = 15;

/// How to start a server.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Settings given besides the inherited environment; secrets are no arguments.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) working_folder: PathBuf,
    pub(crate) log: PathBuf,
    /// The signal that ends it fast and cleans up what belongs to no folder.
    pub(crate) end_signal: &'static str,
    pub(crate) account: Option<Account>,
}

/// A server process under a watchdog. Dropping it ends the server and waits for that.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    launch: Launch,
    run: Mutex<Run>,
}

#[derive(Debug)]
struct Run {
    pid: u32,
    watchdog: Child,
    /// Where this run's lines begin in the log.
    log_start: usize,
}

impl ServerProcess {
    pub(crate) fn start(launch: Launch) -> Result<Self> {
        let run = Mutex::new(Run::start(&launch)?);
        Ok(Self { launch, run })
    }

    /// Starts the same server again, after it has ended.
    pub(crate) fn start_again(&self) -> Result<()> {
        let mut run = self.run();
        ensure!(run.exited().is_some(), "{} is still running", self.launch.name);
        *run = Run::start(&self.launch)?;
        Ok(())
    }

    /// Of the current run, or of the last one.
    pub(crate) fn pid(&self) -> u32 {
        self.run().pid
    }

    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        self.run().exited()
    }

    /// Sends a signal by name (`STOP`, `CONT`, `HUP`, …). Errs when the server is not running.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        self.run().signal(self.launch.name, signal)
    }

    /// SIGKILL; returns when the process is gone. No error if it was gone before.
    pub(crate) fn kill9(&self) -> Result<()> {
        let mut run = self.run();
        if run.exited().is_none() {
            run.signal(self.launch.name, "KILL")?;
            run.watchdog.wait().context("could not wait for the watchdog")?;
        }
        Ok(())
    }

    /// Asks the server to end, also if it is stopped, and waits until it has.
    pub(crate) async fn stop(&self, signal: &str) -> Result<()> {
        if self.exited().is_some() {
            return Ok(());
        }
        self.signal(signal)?;
        // It may have gone already, and is asked no more then.
        self.signal("CONT").ok();
        let what = format!("{} to end after SIG{signal}", self.launch.name);
        wait_for(&what, STOP_DEADLINE, || async { self.exited() }).await?;
        Ok(())
    }

    /// Everything the server has written, over all its runs.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.launch.log)
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn log_of_this_run(&self) -> String {
        let start = self.run().log_start;
        let bytes = fs::read(&self.launch.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log, introduced for an error message.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.len().saturating_sub(LOG_TAIL_LINES);
        let tail = lines.get(tail..).unwrap_or_default().join("\n  ");
        format!("its log ends with:\n  {tail}")
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn start(launch: &Launch) -> Result<Self> {
        let log_start = fs::metadata(&launch.log).map_or(0, |log| log.len());
        let mut command = Command::new("sh");
        command
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&launch.log)
            .arg(launch.end_signal)
            .arg(&launch.program)
            .args(&launch.arguments)
            .current_dir(&launch.working_folder)
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            // macOS: without a locale, Postgres becomes multithreaded on its way up and refuses.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        if let Some(account) = &launch.account {
            account.apply_to(&mut command);
        }
        let mut watchdog = command
            .spawn()
            .with_context(|| format!("could not start `sh` to watch over {}", launch.name))?;
        let pid = told_pid(&mut watchdog)
            .with_context(|| format!("the watchdog of {} told no pid", launch.name))?;
        Ok(Self { pid, watchdog, log_start: usize::try_from(log_start)? })
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.watchdog.try_wait().ok().flatten()
    }

    fn signal(&mut self, name: &str, signal: &str) -> Result<()> {
        if let Some(status) = self.exited() {
            bail!("{name} is not running ({status})");
        }
        let sent = Command::new("sh")
            .args(["-c", r#"kill -s "$1" "$2""#, "signal", signal, &self.pid.to_string()])
            .output()
            .context("could not run `sh`")?;
        let why = String::from_utf8_lossy(&sent.stderr);
        ensure!(sent.status.success(), "could not send SIG{signal} to {name}: {}", why.trim());
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        self.watchdog.wait().ok();
    }
}

fn told_pid(watchdog: &mut Child) -> Result<u32> {
    let output = watchdog.stdout.take().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(line.trim().parse()?)
}

#[cfg(test)]
mod tests;
