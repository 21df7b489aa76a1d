//! A peer at work: one Python process, measured from when its code is loaded to its end.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::bench::usage;
use crate::environment::Environment;
use crate::servers::folder::RunFolder;
use crate::servers::wait_for;

const READY: Duration = Duration::from_mins(2);
const DEADLINE: Duration = Duration::from_mins(30);
/// As much of what a peer said as an error shows.
const TAIL: usize = 2_000;

/// About to be run. Of the environment it sees only what is set here, proxies above all not.
#[derive(Debug)]
pub(super) struct Program {
    environment: &'static Environment,
    script: &'static str,
    arguments: Vec<OsString>,
    variables: Vec<(&'static str, String)>,
    stdin: Option<PathBuf>,
    folder: RunFolder,
}

/// What it took, and what is left of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) seconds: f64,
    /// CPU seconds.
    pub(super) cpu: f64,
    pub(super) peak_mib: f64,
    /// The end of what it said, if it failed.
    pub(super) failure: Option<String>,
    folder: RunFolder,
}

impl Program {
    pub(super) fn new(environment: &'static Environment, script: &'static str) -> Result<Self> {
        Ok(Self {
            environment,
            script,
            arguments: Vec::new(),
            variables: Vec::new(),
            stdin: None,
            folder: RunFolder::create("peer", None)?,
        })
    }

    /// Its own, removed with it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    pub(super) fn stdin(mut self, file: PathBuf) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Runs it to its end, well or not.
    pub(super) async fn run(self) -> Result<Ended> {
        let environment = self.environment;
        let python = tokio::task::spawn_blocking(|| environment.python()).await??;
        let mut child = self.command(&python)?.spawn().context("could not start Python")?;
        let pid = child.id().context("it has ended")?;
        let mut said = BufReader::new(child.stdout.take().context("no output")?);
        let mut first = String::new();
        timeout(READY, said.read_line(&mut first)).await.context("the peer does not start")??;
        ensure!(first == "ready\n", "the peer does not start: {}", self.log());

        let started = Instant::now();
        let (mut cpu, mut peak_mib) = (usage::cpu(pid)?, 0.0);
        let loading = cpu;
        let mut output = tokio::fs::File::create(self.folder().join("output")).await?;
        let copied = tokio::spawn(async move { tokio::io::copy(&mut said, &mut output).await });
        let status = wait_for("the peer's end", DEADLINE, || {
            cpu = usage::cpu(pid).unwrap_or(cpu);
            peak_mib = usage::peak_mib(pid).unwrap_or(peak_mib);
            std::future::ready(child.try_wait().ok().flatten())
        })
        .await?;
        let seconds = started.elapsed().as_secs_f64();
        copied.await??;
        let failure = (!status.success()).then(|| self.log());
        Ok(Ended { seconds, cpu: cpu - loading, peak_mib, failure, folder: self.folder })
    }

    fn command(&self, python: &Path) -> Result<Command> {
        let folder = self.folder();
        let stdin = match &self.stdin {
            Some(file) => Stdio::from(File::open(file)?),
            None => Stdio::null(),
        };
        let mut command = Command::new(python);
        command
            .args(["-c", self.script])
            .args(&self.arguments)
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(["HOME", "TMPDIR", "DLT_DATA_DIR"].map(|name| (name, folder)))
            // They measure nobody, and ask nobody.
            .env("RUNTIME__DLTHUB_TELEMETRY", "false")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log"))?)
            .kill_on_drop(true);
        Ok(command)
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder().join("log")).unwrap_or_default();
        let tail = log.get(log.len().saturating_sub(TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

impl Ended {
    /// With its files; `output` is what it printed.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
