//! A Postgres for one test, for the tests of one process, or for one sandbox.

mod cluster;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use self::cluster::Cluster;
use super::binaries::Places;
use super::ports::free_port;
use super::process::ServerProcess;
use super::wait::wait_for;

/// Includes reading back the WAL after a crash.
const READY_DEADLINE: Duration = Duration::from_mins(1);
/// One attempt to get an answer; whoever has taken the port may accept connections and say nothing.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Of a test's own connections: what waits longer waits for ever.
const LONGEST_STATEMENT: &str = "2min";
/// How many ports are tried when others are quicker.
const PORT_ATTEMPTS: usize = 5;
/// What the server says when its port, or its shared memory, still belongs to another process: to
/// a stranger, or to children of its own that outlived a SIGKILL for a moment.
const STILL_IN_USE: [&str; 3] =
    ["Address already in use", "is still in use", "lock file \"postmaster.pid\" already exists"];

/// Settings in which tests differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresOptions {
    /// Off by default: no test pulls the plug, and a killed server loses nothing without it.
    pub fsync: bool,
}

/// How a server is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Rolls back what is open and writes everything down.
    Fast,
    /// Ends like a crash, but in order; the next start reads the WAL.
    Immediate,
}

/// A database that nobody else uses.
#[derive(Debug, Clone)]
pub struct Database {
    /// Unique on its server.
    pub name: String,
    /// With user and password, for `DATABASE_URL`.
    pub url: String,
}

/// A running server. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct PostgresServer {
    // Ended before the folder goes.
    process: ServerProcess,
    port: u16,
    cluster: Cluster,
}

impl PostgresServer {
    /// Returns when the server answers. Finding the programs may include a download, once.
    pub async fn start(options: PostgresOptions) -> Result<Self> {
        Self::start_from(Places::from_environment(), options).await
    }

    async fn start_from(places: Places, options: PostgresOptions) -> Result<Self> {
        let create = move || Cluster::create(&places.postgres()?, options);
        let mut cluster = spawn_blocking(create).await??;
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port()?;
            let process = ServerProcess::start(cluster.launch(port))?;
            let server = Self { process, port, cluster };
            if server.ready().await? {
                return Ok(server);
            }
            // Ends the process that found its port taken, and keeps the files.
            cluster = server.cluster;
        }
        bail!("postgres found each of {PORT_ATTEMPTS} ports taken")
    }

    /// With the superuser and its password, which is random.
    pub fn url(&self, database: &str) -> String {
        let Self { port, cluster, .. } = self;
        format!(
            "postgres://{}:{}@127.0.0.1:{port}/{database}",
            cluster::SUPERUSER,
            cluster.password
        )
    }

    /// A connection as superuser.
    pub async fn connect(&self, database: &str) -> Result<PgConnection> {
        let options = PgConnectOptions::from_str(&self.url(database))?;
        PgConnection::connect_with(&options.options([("statement_timeout", LONGEST_STATEMENT)]))
            .await
            .with_context(|| format!("could not connect to the database {database}"))
    }

    /// Empty, with the owner that [`Self::url`] names.
    pub async fn create_database(&self) -> Result<Database> {
        self.copy_database("template0").await
    }

    /// With everything that the other one holds, to which nobody is connected.
    pub async fn copy_database(&self, other: &str) -> Result<Database> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = self.connect("postgres").await?;
        // Safe: the names are letters and digits. Names cannot be parameters.
        let create = AssertSqlSafe(format!("create database {name} template {other}"));
        connection.execute(create).await.context("could not create a database")?;
        connection.close().await?;
        Ok(Database { url: self.url(&name), name })
    }

    /// The same over all restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of the postmaster, of its last run.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the postmaster is there; a stopped one is.
    pub fn is_running(&self) -> bool {
        self.process.exited().is_none()
    }

    /// Sends the postmaster a signal by name: `HUP` makes it read its configuration again, `STOP`
    /// keeps it from taking connections (those that are open go on), `CONT` lets it go on. Errs
    /// when it is not running.
    pub fn signal(&self, signal: &str) -> Result<()> {
        self.process.signal(signal)
    }

    /// SIGKILL to the postmaster, upon which the other processes end by themselves, some
    /// milliseconds later. The data is kept for [`Self::restart`].
    pub fn kill9(&self) -> Result<()> {
        self.process.kill9()
    }

    /// Ends the server; the data is kept for [`Self::restart`].
    pub async fn stop(&self, shutdown: Shutdown) -> Result<()> {
        let signal = match shutdown {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        self.process.stop(signal).await
    }

    /// Starts the server again on the same port and data, after stopping it if it still runs.
    pub async fn restart(&self, shutdown: Shutdown) -> Result<()> {
        self.stop(shutdown).await?;
        wait_for("postgres to have its port and memory back", READY_DEADLINE, || async {
            let started = async {
                self.process.start_again()?;
                self.ready().await
            };
            match started.await {
                Ok(false) => None,
                Ok(true) => Some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })
        .await?
    }

    /// Holds everything, the WAL (`pg_wal`) included.
    pub fn data_dir(&self) -> PathBuf {
        self.cluster.data_dir()
    }

    /// The files of the data folder, WAL included, and the log, in which `needle` occurs, after a
    /// checkpoint has brought the tables to disk. To show that a secret is stored nowhere.
    pub async fn files_containing(&self, needle: &[u8]) -> Result<Vec<PathBuf>> {
        let mut connection = self.connect("postgres").await?;
        connection.execute("checkpoint").await?;
        connection.close().await?;
        let (folder, needle) = (self.cluster.folder().to_owned(), needle.to_owned());
        spawn_blocking(move || {
            let mut found = Vec::new();
            search(&folder, &needle, &mut found)?;
            Ok(found)
        })
        .await?
    }

    /// Writes a file that only the server can read (mode 0600), beside its data folder: the place
    /// of the vault's root key. Where a name is written twice, the later contents stay.
    pub fn write_server_file(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        self.cluster.write_file(name, contents)
    }

    /// The server's output over all its runs.
    pub fn log_path(&self) -> PathBuf {
        self.cluster.log_path()
    }

    /// The text of [`Self::log_path`].
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// True when this very server answers (no other knows the password), false when it ended
    /// because something it needs was still in use.
    async fn ready(&self) -> Result<bool> {
        let answer = wait_for("postgres to answer", READY_DEADLINE, || async {
            if let Some(status) = self.process.exited() {
                let log = self.process.log_of_this_run();
                let in_use = STILL_IN_USE.iter().any(|message| log.contains(message));
                return Some(if in_use { Ok(false) } else { Err(status) });
            }
            let connection = timeout(ANSWER_DEADLINE, self.connect("postgres"));
            let connection = connection.await.ok()?.ok()?;
            connection.close().await.ok().map(|()| Ok(true))
        });
        match answer.await.with_context(|| self.process.log_tail())? {
            Ok(ready) => Ok(ready),
            Err(status) => bail!("postgres ended at once ({status}); {}", self.process.log_tail()),
        }
    }
}

fn search(folder: &Path, needle: &[u8], found: &mut Vec<PathBuf>) -> Result<()> {
    for path in super::wheels::entries(folder)? {
        if path.is_dir() {
            search(&path, needle, found)?;
        } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, needle)) {
            // A file may have gone since the folder was read.
            found.push(path);
        }
    }
    Ok(())
}

/// Looks for the first byte alone, which is quick also in a build that is not optimised.
fn contains(mut bytes: &[u8], needle: &[u8]) -> bool {
    let Some((first, _)) = needle.split_first() else {
        return true;
    };
    while let Some(at) = bytes.iter().position(|byte| byte == first) {
        bytes = bytes.get(at..).unwrap_or_default();
        if bytes.starts_with(needle) {
            return true;
        }
        bytes = bytes.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests;
