//! The connection to Postgres.

use clap::Args;
use secrecy::SecretString;
pub(crate) use shared::postgres::Endpoint;
pub use shared::postgres::{AddressError, ConnectError};
use shared::postgres::{Postgres, Session, Sessions, while_it_wakes};
use shared::settings::{plain, secret};
use sqlx::PgConnection;

/// Settings of every session. The server ends what hangs, for sqlx has no time limit of its own; a
/// dead peer is noticed by TCP. `synchronous_commit` makes ack-after-commit mean ack-after-durable. A
/// batch that has waited for its turn must see what the one before it left, hence `read committed`.
/// Whoever waits for a lock holds a connection that others could use, so not for long; it comes again.
/// A transaction is never idle for longer than a moment: one that is has lost its loader, and holds
/// locks that the next one wants.
///
/// Every statement looks up the rows of a batch, which it finds by their keys or in a short range of an
/// index. Of a table that grows Postgres knows too little to see that each time, and reading it whole
/// for each batch is what must never happen.
const SETTINGS: [(&str, &str); 11] = [
    ("statement_timeout", "25s"),
    ("lock_timeout", "3s"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_user_timeout", "30000"),
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
    ("enable_seqscan", "off"),
    ("enable_mergejoin", "off"),
    ("random_page_cost", "1.1"),
    ("jit", "off"),
];

const SESSION: Session = Session { application: "toggl-track-loader", settings: &SETTINGS };

/// Where the raw tables are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Postgres")]
pub struct DatabaseArgs {
    /// Address of the database, as psql takes it: `postgres://user:password@host:5432/database`, or `host=…
    /// dbname=…`. What it leaves out comes from libpq's environment (`PGHOST`, `PGUSER`, `PGSSLMODE`, …). A
    /// pooler has to be in session mode.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = plain(secret), global = true)]
    pub database_url: Option<SecretString>,
}

impl DatabaseArgs {
    /// Reads the address.
    ///
    /// # Errors
    /// When it is missing or not a Postgres address.
    pub fn database(&self) -> Result<Database, AddressError> {
        Postgres::read(self.database_url.as_ref(), SESSION).map(|postgres| Database { postgres })
    }
}

/// How to reach the database; connections are owned by whoever writes, one each, without a pool:
/// after trouble a connection is dropped and made anew, never reused in an unknown state.
#[derive(Debug, Clone)]
pub struct Database {
    postgres: Postgres,
}

impl Database {
    /// Host, port and name, for telling it from others; neither user nor password.
    pub fn name(&self) -> String {
        self.postgres.name()
    }

    /// What of the address has no effect here, if anything.
    pub(crate) fn idle(&self) -> Option<String> {
        self.postgres.idle()
    }

    /// Where the server is, for making another user's address.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.postgres.endpoint()
    }

    /// What a person may want to know of the way to the server.
    pub(crate) async fn warning(&self) -> Option<String> {
        self.postgres.warning().await
    }

    /// One connection with the loader's session settings.
    ///
    /// # Errors
    /// When nobody answers within five seconds or what is set, the server refuses, or a pooler lends sessions
    /// for transactions only.
    pub async fn connect(&self) -> Result<PgConnection, ConnectError> {
        self.postgres.connect().await
    }

    /// The same for a command, which waits for a database that wakes up.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_awake(&self) -> Result<PgConnection, ConnectError> {
        while_it_wakes(|| self.connect()).await
    }

    /// Whether a pooler had no second session for the first connection.
    pub(crate) fn has_few_sessions(&self) -> bool {
        self.postgres.sessions() == Some(Sessions::Few)
    }
}

/// What to do about a pooler with too few sessions.
pub(crate) const FEW_SESSIONS: &str = "the pooler has no second session for this loader: raise its pool size \
    (PgBouncer: default_pool_size, or pool_size of this database) to LOADER_WRITERS and five more";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated_in_the_error() {
        let args = DatabaseArgs { database_url: Some("mysql://user:hunter2@host/db".into()) };
        let error = args.database().unwrap_err();
        let error = format!("{error:?} {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
