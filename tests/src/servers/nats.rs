//! A nats-server with JetStream for one test, or for one sandbox.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use super::binaries::Places;
use super::folder::RunFolder;
use super::ports::free_port;
use super::process::{Launch, ServerProcess};
use super::wait::wait_for;

/// Includes reading back a store of some size.
const READY_DEADLINE: Duration = Duration::from_mins(1);
/// One attempt to get an answer; whoever has taken the port may accept connections and say nothing.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How many ports are tried when others are quicker.
const PORT_ATTEMPTS: usize = 5;

/// Settings in which tests differ; the defaults are those of production, with a smaller store.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// Bytes.
    pub max_file_store: u64,
    /// Bytes of a message, headers included.
    pub max_payload: u64,
    /// More lines for the configuration file, such as an `authorization` block.
    pub configuration: String,
    /// More lines for its block `jetstream`.
    pub jetstream: String,
    /// Whether it says nothing before TLS; then it is ready when its log says so.
    pub is_silent: bool,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            max_file_store: 1024 * 1024 * 1024,
            max_payload: 1024 * 1024,
            configuration: String::new(),
            jetstream: String::new(),
            is_silent: false,
        }
    }
}

/// A running server. Dropping it ends it and removes its store.
#[derive(Debug)]
pub struct NatsServer {
    // Ended before the folder goes.
    process: ServerProcess,
    name: String,
    port: u16,
    is_silent: bool,
    folder: RunFolder,
}

impl NatsServer {
    /// Returns when the server answers. Finding the program may include a download, once.
    pub async fn start(options: NatsOptions) -> Result<Self> {
        let program = spawn_blocking(|| Places::from_environment().nats_server()).await??;
        let folder = RunFolder::create("nats", None)?;
        let name = format!("private-{}", Uuid::now_v7().simple());
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port()?;
            let launch = launch(&program, &folder, &options, &name, port)?;
            let process = ServerProcess::start(launch)?;
            if ready(&process, &name, port, options.is_silent).await? {
                return Ok(Self { process, name, port, is_silent: options.is_silent, folder });
            }
        }
        bail!("nats-server found each of {PORT_ATTEMPTS} ports taken")
    }

    /// What it calls itself, as in the information about a stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For clients; without user and password.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The same over all restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the server itself, of its last run.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the process is there; a stopped one is.
    pub fn is_running(&self) -> bool {
        self.process.exited().is_none()
    }

    /// Sends a signal by name: `STOP` freezes the server, `CONT` lets it go on, `HUP` makes it read
    /// its configuration again. Errs when it is not running.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// SIGKILL; the server is gone on return, its store is kept for [`Self::restart`].
    pub fn kill9(&self) -> Result<()> {
        self.process.kill9()
    }

    /// Ends the server in an orderly way and keeps its store for [`Self::restart`].
    pub async fn stop(&self) -> Result<()> {
        self.process.stop("TERM").await
    }

    /// Starts the server again on the same port and store, after stopping it if it still runs.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        wait_for("nats-server to have its port back", READY_DEADLINE, || async {
            let started = async {
                self.process.start_again()?;
                ready(&self.process, &self.name, self.port, self.is_silent).await
            };
            match started.await {
                Ok(false) => None,
                Ok(true) => Some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })
        .await?
    }

    /// Where JetStream keeps its files.
    pub fn store_dir(&self) -> PathBuf {
        store_dir(&self.folder)
    }

    /// The configuration file: rewrite it and send `HUP`, or restart.
    pub fn configuration_path(&self) -> PathBuf {
        configuration_path(&self.folder)
    }

    /// The server's output over all its runs.
    pub fn log_path(&self) -> PathBuf {
        log_path(&self.folder)
    }

    /// The text of [`Self::log_path`].
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn store_dir(folder: &RunFolder) -> PathBuf {
    folder.path().join("store")
}

fn configuration_path(folder: &RunFolder) -> PathBuf {
    folder.path().join("nats-server.conf")
}

fn log_path(folder: &RunFolder) -> PathBuf {
    folder.path().join("nats-server.log")
}

/// Writes the configuration too.
fn launch(
    program: &Path,
    folder: &RunFolder,
    options: &NatsOptions,
    name: &str,
    port: u16,
) -> Result<Launch> {
    let NatsOptions { max_file_store, max_payload, configuration, jetstream, .. } = options;
    let store = store_dir(folder).display().to_string();
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\n\
         server_name: \"{name}\"\n\
         jetstream {{\n  store_dir: \"{store}\"\n  sync_interval: always\n  \
         max_file_store: {max_file_store}\n  {jetstream}\n}}\n\
         max_payload: {max_payload}\n\
         {configuration}\n"
    );
    let path = configuration_path(folder);
    fs::write(&path, text).context("could not write the configuration of nats-server")?;
    Ok(Launch {
        name: "nats-server",
        program: program.to_owned(),
        arguments: vec!["-c".into(), path.into()],
        environment: Vec::new(),
        working_folder: folder.path().to_owned(),
        log: log_path(folder),
        // Nothing of it outlives its folder.
        end_signal: "KILL",
        account: None,
    })
}

/// True when this very server answers, false when it ended because its port was taken.
async fn ready(process: &ServerProcess, name: &str, port: u16, is_silent: bool) -> Result<bool> {
    let answer = wait_for("nats-server to answer", READY_DEADLINE, || async {
        if let Some(status) = process.exited() {
            let port_taken = process.log_of_this_run().contains("address already in use");
            return Some(if port_taken { Ok(false) } else { Err(status) });
        }
        if is_silent {
            return process.log_of_this_run().contains("Server is ready").then_some(Ok(true));
        }
        let information = timeout(ANSWER_DEADLINE, information(port)).await.ok()?.ok()?;
        let ours = information.get("server_name")?.as_str()? == name;
        (ours && information.get("jetstream")?.as_bool()?).then_some(Ok(true))
    });
    match answer.await.with_context(|| process.log_tail())? {
        Ok(ready) => Ok(ready),
        Err(status) => bail!("nats-server ended at once ({status}); {}", process.log_tail()),
    }
}

/// What a server tells each new connection about itself.
async fn information(port: u16) -> Result<Value> {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).await?;
    let json = line.strip_prefix("INFO ").context("not a nats-server")?;
    Ok(serde_json::from_str(json)?)
}

#[cfg(test)]
mod tests;
