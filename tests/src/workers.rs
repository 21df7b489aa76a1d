//! The fetcher and the loader as a user has them: built, and run as processes of their own.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::servers::folder::RunFolder;
use crate::servers::process::{Launch, ServerProcess};
use crate::servers::{DEADLINE, wait_for};

/// Variables that a worker needs whatever the test is about.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE"];

/// The folder with the built workers. They are built once a process, by the cargo and in the profile
/// that built the harness; that is quick when they are up to date.
///
/// # Errors
/// When cargo fails, with what it says.
pub async fn folder() -> Result<&'static Path> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    FOLDER.get_or_try_init(build).await.map(PathBuf::as_path)
}

async fn build() -> Result<PathBuf> {
    // Without the dots: cargo would take the same crates at another path for others.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let (profile, folder) =
        if cfg!(debug_assertions) { ("dev", "debug") } else { ("release", "release") };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // What cargo tells this program about its package is not meant for the build of others; some
    // build scripts would take it for a change, and build again.
    let told = env::vars_os().map(|(name, _)| name).filter(|name| {
        name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        })
    });
    let mut command = Command::new(cargo);
    for name in told {
        command.env_remove(name);
    }
    // The whole workspace: with fewer packages cargo would choose other features of the same crates
    // and build them all anew.
    command.args(["build", "--quiet", "--workspace", "--bins", "--profile", profile]);
    if is_test() {
        // There are none; asked for them, cargo chooses features as it does for tests.
        command.arg("--examples");
    }
    let output = command
        .current_dir(workspace)
        .output()
        .await
        .context("could not run cargo; is Rust installed?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "could not build the workers:\n{said}");
    Ok(workspace.join(target).join(folder))
}

/// Set where a test starts a program that starts workers: they are built as the test's own are, and so are there.
pub const BESIDE_TESTS: &str = "TOGGL_TRACK_BESIDE_TESTS";

/// Whether this program is one of cargo's tests or benchmarks, which lie in a folder of their own, or started by one.
fn is_test() -> bool {
    if env::var_os(BESIDE_TESTS).is_some() {
        return true;
    }
    let program = env::current_exe().unwrap_or_default();
    program.parent().and_then(Path::file_name).is_some_and(|folder| folder == "deps")
}

/// A command line of a worker, about to be run. Of the environment it sees only what is set here.
#[derive(Debug, Clone)]
pub struct Worker {
    name: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
    stdout: Sink,
    stderr: Sink,
    program: Option<PathBuf>,
}

/// Where the words of a command go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// To whoever asks what was said.
    Kept,
    /// Into a pipe that nobody reads any more.
    Unread,
    /// On a disk that is full.
    Full,
}

impl Sink {
    fn open(self) -> Result<Stdio> {
        Ok(match self {
            Self::Kept => Stdio::piped(),
            Self::Unread => std::io::pipe().context("could not make a pipe")?.1.into(),
            Self::Full => std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .context("could not open /dev/full")?
                .into(),
        })
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
}

impl Worker {
    /// `name` is `fetcher` or `loader`.
    pub fn new(name: &'static str, arguments: &[&str]) -> Self {
        let inherited = INHERITED.iter().filter_map(|name| Some((name.into(), env::var_os(name)?)));
        Self {
            name,
            arguments: arguments.iter().map(Into::into).collect(),
            environment: inherited.collect(),
            stdin: Vec::new(),
            stdout: Sink::Kept,
            stderr: Sink::Kept,
            program: None,
        }
    }

    /// Sends what it prints elsewhere.
    #[must_use]
    pub fn stdout(mut self, sink: Sink) -> Self {
        self.stdout = sink;
        self
    }

    /// Sends what it logs elsewhere.
    #[must_use]
    pub fn stderr(mut self, sink: Sink) -> Self {
        self.stderr = sink;
        self
    }

    /// Starts this file instead of the one that was built.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    async fn file(&self) -> Result<PathBuf> {
        match &self.program {
            Some(path) => Ok(path.clone()),
            None => Ok(folder().await?.join(self.name)),
        }
    }

    /// Sets a variable, in place of an earlier value.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self = self.without(name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Text for its standard input.
    #[must_use]
    pub fn stdin(mut self, text: &str) -> Self {
        text.as_bytes().clone_into(&mut self.stdin);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end within two minutes.
    pub async fn run(self) -> Result<Finished> {
        let program = self.file().await?;
        let started = Instant::now();
        let mut child = Command::new(&program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::piped())
            .stdout(self.stdout.open()?)
            .stderr(self.stderr.open()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that reads nothing may have closed it.
            stdin.write_all(&self.stdin).await.ok();
        }
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
            .await
            .with_context(|| format!("{} did not end within {DEADLINE:?}", self.name))??;
        Ok(Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            elapsed: started.elapsed(),
        })
    }

    /// Leaves it running.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(self) -> Result<Resident> {
        let folder = RunFolder::create(self.name, None)?;
        let launch = Launch {
            name: self.name,
            program: self.file().await?,
            arguments: self.arguments,
            environment: self.environment,
            working_folder: folder.path().to_owned(),
            log: folder.path().join("log"),
            end_signal: "KILL",
            account: None,
        };
        Ok(Resident { process: ServerProcess::start(launch)?, _folder: folder })
    }
}

/// Longer than a start takes on a machine that is busy.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// A worker that stays; dropping it kills it.
#[derive(Debug)]
pub struct Resident {
    // Ended before the folder goes.
    process: ServerProcess,
    _folder: RunFolder,
}

impl Resident {
    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The most memory that it has had resident so far, in KiB; none once it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Its exit code, if it has ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        self.process.exited().and_then(|status| status.code())
    }

    /// SIGKILL; returns when it is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn kill9(&self) -> Result<()> {
        self.process.kill9()
    }

    /// SIGTERM, once it has said something: before that it does not hear signals yet. Returns its exit
    /// code.
    ///
    /// # Errors
    /// When it does not end within 30 seconds.
    pub async fn terminate(&self) -> Result<Option<i32>> {
        let said =
            || async { (!self.log().is_empty() || self.exit_code().is_some()).then_some(()) };
        // One that was told to be quiet says nothing.
        drop(wait_for("its first word", FIRST_WORD, said).await);
        self.process.stop("TERM").await?;
        Ok(self.exit_code())
    }

    /// Sends any other signal by name.
    ///
    /// # Errors
    /// When it is not running.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits for a text in its log.
    ///
    /// # Errors
    /// When it does not come within the deadline; the error shows the log's end.
    pub async fn logged(&self, text: &str, deadline: Duration) -> Result<()> {
        let seen = || async { self.log().contains(text).then_some(()) };
        wait_for(&format!("{text:?} in the log"), deadline, seen)
            .await
            .with_context(|| self.process.log_tail())
    }

    /// Waits for its end and answers its exit code.
    ///
    /// # Errors
    /// When it does not end within the deadline.
    pub async fn ended(&self, deadline: Duration) -> Result<Option<i32>> {
        let exited = || async { self.process.exited() };
        Ok(wait_for("the worker's end", deadline, exited).await?.code())
    }
}
