//! A connection to the first server that answers, with its settings.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, Row as _};
use tokio::sync::OnceCell;

use super::environment;
use super::error::{AddressError, ConnectError, is_tls};
use super::pooler::{self, Pooler, Sessions};
use super::target::{Endpoint, Host, Target, Wanted};
use crate::eavesdropping::{Tls, postgres_warning};
use crate::retry::{Delays, wait_out};

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// As long as a database that was put to sleep takes to wake up.
const WAKING: Duration = Duration::from_secs(45);

/// What a program wants of its sessions.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// How it calls itself, unless the address says otherwise.
    pub application: &'static str,
    /// Settings by name, as of `set`. They are set after the log-in: poolers refuse what they do not know
    /// in the packet that begins a session, or drop it without a word.
    pub settings: &'static [(&'static str, &'static str)],
}

/// How to reach the database. Clones know the same.
#[derive(Debug, Clone)]
pub struct Postgres {
    target: Arc<Target>,
    session: Session,
    /// What was found of the sessions; that is looked for once.
    sessions: Arc<OnceCell<Sessions>>,
}

impl Postgres {
    /// Reads the address, and libpq's environment for what it leaves open.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn read(address: Option<&SecretString>, session: Session) -> Result<Self, AddressError> {
        let address = address.map(SecretString::expose_secret);
        let target = Target::read(address, &environment::of_process, session.application)?;
        Ok(Self { target: Arc::new(target), session, sessions: Arc::default() })
    }

    /// Host, port and name, for telling it from others; neither user nor password.
    pub fn name(&self) -> String {
        self.target.name()
    }

    /// Where the server is, the first one if there are several.
    pub fn endpoint(&self) -> Endpoint {
        self.target.endpoint()
    }

    /// What a person may want to know of the way there: that somebody may listen.
    pub async fn warning(&self) -> Option<String> {
        let tls = match self.target.tls {
            PgSslMode::Disable | PgSslMode::Allow => Tls::Never,
            PgSslMode::Prefer => Tls::IfOffered,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => Tls::Always,
        };
        for (host, _) in &self.target.hosts {
            if let Some(warning) = postgres_warning(&host.name, host.port, tls).await {
                return Some(warning);
            }
        }
        None
    }

    /// In words what of the address has no effect here, if anything.
    pub fn idle(&self) -> Option<String> {
        let names: Vec<String> = self.target.idle.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| format!("no effect here: {}", names.join(", ")))
    }

    /// A connection with its settings and a session of its own.
    ///
    /// # Errors
    /// See [`ConnectError`]: nobody answers, the server refuses, or it shares its sessions.
    pub async fn connect(&self) -> Result<PgConnection, ConnectError> {
        // Boxed, for everybody who connects carries it along.
        let (mut connection, host) = Box::pin(self.establish()).await?;
        let server = || host.to_string();
        if !self.sessions.initialized() {
            let another = || async { self.establish().await.map(|(connection, _)| connection) };
            let limit = self.target.timeout * 2 + pooler::PATIENCE * 2;
            let look = Box::pin(pooler::look(&mut connection, another));
            let found = within(&host, limit, look).await?;
            if found == Sessions::Shared {
                return Err(ConnectError::Shared {
                    server: server(),
                    pooler: Pooler::of(&host.name),
                });
            }
            // Whoever was faster has found the same.
            self.sessions.set(found).ok();
        }
        let settings = settings(self.session.settings);
        if !settings.is_empty() {
            let set = connection.execute(sqlx::raw_sql(AssertSqlSafe(settings)));
            within(&host, self.target.timeout, set).await?;
        }
        Ok(connection)
    }

    /// A connection as it comes, for transactions with their own settings and no prepared statements: it may
    /// share its session with others.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_plainly(&self) -> Result<PgConnection, ConnectError> {
        Box::pin(self.establish()).await.map(|(connection, _)| connection)
    }

    /// What the first connection has found.
    pub fn sessions(&self) -> Option<Sessions> {
        self.sessions.get().copied()
    }

    /// The first server of the list that answers and is as it is wanted.
    async fn establish(&self) -> Result<(PgConnection, Host), ConnectError> {
        let rounds: &[Wanted] = match self.target.wanted {
            Wanted::PreferStandby => &[Wanted::Standby, Wanted::Any],
            _ => &[self.target.wanted],
        };
        let mut first_error = None;
        for wanted in rounds {
            for (host, options) in &self.target.hosts {
                match self.establish_at(host, options, *wanted).await {
                    Ok(Some(connection)) => return Ok((connection, host.clone())),
                    Ok(None) => {}
                    // A server that is there and refuses has the last word, as in libpq.
                    Err(error) if !error.may_pass() => return Err(error),
                    Err(error) => {
                        first_error.get_or_insert(error);
                    }
                }
            }
        }
        Err(first_error.unwrap_or_else(|| ConnectError::Attributes {
            servers: self.target.servers(),
            wanted: self.target.wanted.name(),
        }))
    }

    async fn establish_at(
        &self,
        host: &Host,
        options: &PgConnectOptions,
        wanted: Wanted,
    ) -> Result<Option<PgConnection>, ConnectError> {
        let modes: &[PgSslMode] = match self.target.tls {
            PgSslMode::Allow => &[PgSslMode::Disable, PgSslMode::Require],
            PgSslMode::Prefer => &[PgSslMode::Prefer, PgSslMode::Disable],
            mode => &[mode],
        };
        let mut outcome = None;
        for mode in modes {
            let options = options.clone().ssl_mode(*mode);
            let attempt = async {
                let mut connection = options.connect().await?;
                let fits = fits(&mut connection, wanted).await?;
                Ok(fits.then_some(connection))
            };
            match within(host, self.target.timeout, attempt).await {
                // The other way may be the one that is open; of both, the first one's words are told.
                Err(error) if is_about_tls(&error) => {
                    outcome.get_or_insert(Err(error));
                }
                Err(error) => return outcome.unwrap_or(Err(error)),
                attempt => return attempt,
            }
        }
        outcome.unwrap_or(Ok(None))
    }
}

async fn within<T>(
    host: &Host,
    limit: Duration,
    attempt: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(limit, attempt).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) => Err(ConnectError::Refused { server: host.to_string(), source }),
        Err(_) => Err(ConnectError::TimedOut { server: host.to_string(), waited: limit }),
    }
}

/// Whether a server refused the way in for TLS, or for the want of it.
fn is_about_tls(error: &ConnectError) -> bool {
    let Some(error) = error.refusal() else { return false };
    let refusal = error.as_database_error();
    is_tls(error)
        || refusal.is_some_and(|error| {
            error.code().as_deref() == Some("28000") && error.message().contains("pg_hba.conf")
        })
}

async fn fits(connection: &mut PgConnection, wanted: Wanted) -> sqlx::Result<bool> {
    let question = match wanted {
        Wanted::Any => return Ok(true),
        Wanted::ReadWrite | Wanted::ReadOnly => {
            "select (pg_is_in_recovery() or current_setting('transaction_read_only')::bool)::text"
        }
        _ => "select pg_is_in_recovery()::text",
    };
    let answer: String = connection.fetch_one(sqlx::raw_sql(question)).await?.try_get(0)?;
    let wants = matches!(wanted, Wanted::ReadOnly | Wanted::Standby);
    Ok((answer == "true") == wants)
}

/// All settings in one statement.
fn settings(settings: &[(&str, &str)]) -> String {
    let mut sql = String::new();
    for (name, value) in settings {
        let join = if sql.is_empty() { "select" } else { "," };
        // Of this program: without quotes in them.
        write!(sql, "{join} set_config('{name}', '{value}', false)").ok();
    }
    sql
}

/// Tries again while the database wakes up, for as long as that takes, and says so.
///
/// # Errors
/// The last attempt's.
pub async fn while_it_wakes<T, F: Future<Output = Result<T, ConnectError>>>(
    attempt: impl FnMut() -> F,
) -> Result<T, ConnectError> {
    let delays = Delays::within(FIRST_DELAY, LONGEST_DELAY, WAKING);
    wait_out("Postgres", delays, ConnectError::is_waking, |_| {}, attempt).await
}
