//! A `PgBouncer` before the Postgres of a test: a pooler as users have it. It is not fetched, unlike the
//! servers that every test needs; see `.ci/run pooler`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use url::Url;

use super::account::Account;
use super::folder::RunFolder;
use super::ports::free_port;
use super::postgres::PostgresServer;
use super::process::{Launch, ServerProcess};
use super::wait::wait_for;

const READY_DEADLINE: Duration = Duration::from_mins(1);
/// One attempt to get an answer; whoever has taken the port may accept connections and say nothing.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How many ports are tried when others are quicker.
const PORT_ATTEMPTS: usize = 5;
/// Debian's package puts it where only root's search path leads.
const USUAL_PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"];
const PORT_IN_USE: &str = "Address already in use";

/// For how long a client keeps the session that it was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Until it goes.
    Session,
    /// Until its transaction ends.
    Transaction,
    /// For one statement.
    Statement,
}

impl PoolMode {
    /// That of `TESTS_POOLER`, by which every world is behind a pooler.
    pub(crate) fn from_environment() -> Result<Option<Self>> {
        let mode = env::var_os("TESTS_POOLER").unwrap_or_default();
        match mode.to_str() {
            Some("") => Ok(None),
            Some("session") => Ok(Some(Self::Session)),
            Some("transaction") => Ok(Some(Self::Transaction)),
            _ => bail!("TESTS_POOLER is session or transaction, not {}", mode.display()),
        }
    }
}

/// Settings in which tests differ.
#[derive(Debug, Clone)]
pub struct PoolerOptions {
    /// As it is without a setting: `session`.
    pub mode: PoolMode,
    /// Sessions of Postgres for each user and database.
    pub size: u16,
    /// More lines for the section `[pgbouncer]`, such as `ignore_startup_parameters`; without them it is
    /// as it comes.
    pub configuration: String,
}

impl Default for PoolerOptions {
    fn default() -> Self {
        Self { mode: PoolMode::Session, size: 50, configuration: String::new() }
    }
}

impl From<PoolMode> for PoolerOptions {
    fn from(mode: PoolMode) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// A running pooler; every role of its Postgres can log in there with its own password. Dropping it ends it.
#[derive(Debug)]
pub struct PgBouncer {
    // Ended before the folder goes.
    process: ServerProcess,
    port: u16,
    _folder: RunFolder,
}

impl PgBouncer {
    /// Returns when it answers.
    ///
    /// # Errors
    /// When it is not installed, or does not answer.
    pub async fn before(
        postgres: &PostgresServer,
        options: impl Into<PoolerOptions>,
    ) -> Result<Self> {
        let options = options.into();
        let program = program()?;
        for _ in 0..PORT_ATTEMPTS {
            let account = Account::instead_of_root()?;
            let folder = RunFolder::create("pgbouncer", account.as_ref())?;
            let port = free_port()?;
            let launch = launch(program.clone(), &folder, account, postgres, &options, port)?;
            let process = ServerProcess::start(launch)?;
            let pooler = Self { process, port, _folder: folder };
            if pooler.ready(postgres).await? {
                return Ok(pooler);
            }
        }
        bail!("pgbouncer found each of {PORT_ATTEMPTS} ports taken")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An address of its Postgres, become one that goes through it.
    ///
    /// # Errors
    /// When it is not an address.
    pub fn instead_of(&self, url: &str) -> Result<String> {
        let mut url: Url = url.parse()?;
        url.set_port(Some(self.port)).ok().context("an address without a host")?;
        Ok(url.into())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    async fn ready(&self, postgres: &PostgresServer) -> Result<bool> {
        let url = self.instead_of(&postgres.url("postgres"))?;
        let answer = wait_for("pgbouncer to answer", READY_DEADLINE, || async {
            if let Some(status) = self.process.exited() {
                let in_use = self.process.log().contains(PORT_IN_USE);
                return Some(if in_use { Ok(false) } else { Err(status) });
            }
            // What logs in without parameters that poolers do not know.
            let options: sqlx::postgres::PgConnectOptions = url.parse().ok()?;
            let options = options.extra_float_digits(None);
            let connection = PgConnection::connect_with(&options);
            let connection = timeout(ANSWER_DEADLINE, connection).await.ok()?.ok()?;
            connection.close().await.ok().map(|()| Ok(true))
        });
        match answer.await.with_context(|| self.process.log_tail())? {
            Ok(ready) => Ok(ready),
            Err(status) => bail!("pgbouncer ended at once ({status}); {}", self.process.log_tail()),
        }
    }
}

fn program() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(USUAL_PLACES.map(PathBuf::from))
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
        .context("pgbouncer is missing: apt-get install pgbouncer")
}

fn launch(
    program: PathBuf,
    folder: &RunFolder,
    account: Option<Account>,
    postgres: &PostgresServer,
    options: &PoolerOptions,
    port: u16,
) -> Result<Launch> {
    let mode = match options.mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    let superuser: Url = postgres.url("postgres").parse()?;
    let (user, password) = (superuser.username(), superuser.password().unwrap_or_default());
    let users = folder.path().join("users");
    let settings = folder.path().join("pgbouncer.ini");
    fs::write(&users, format!("\"{user}\" \"{password}\"\n"))?;
    // The log is its standard error; other roles are looked up with the superuser's eyes.
    let text = format!(
        "[databases]
* = host=127.0.0.1 port={postgres_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
auth_user = {user}
auth_query = select usename, passwd from pg_shadow where usename = $1
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
{configuration}
",
        postgres_port = postgres.port(),
        users = users.display(),
        size = options.size,
        configuration = options.configuration,
    );
    fs::write(&settings, text)?;
    if let Some(account) = &account {
        account.take_over(&users)?;
        account.take_over(&settings)?;
    }
    Ok(Launch {
        name: "pgbouncer",
        program,
        arguments: vec![settings.into()],
        environment: Vec::new(),
        working_folder: folder.path().to_owned(),
        log: folder.path().join("log"),
        end_signal: "TERM",
        account,
    })
}
