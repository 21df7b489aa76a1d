//! The connection to Postgres, and what its errors ask for.

use std::str::FromStr as _;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use shared::eavesdropping::{Tls, postgres_warning};
use shared::retry::Disposition;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection};

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
const SESSION: [(&str, &str); 11] = [
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

/// Where the raw tables are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Postgres")]
pub struct DatabaseArgs {
    /// Address of the database: `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<SecretString>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No address was given.
    #[error("no database: set DATABASE_URL (postgres://user:password@host:5432/database)")]
    Missing,
    /// The address cannot be read. Its text is left out, for it may hold a password.
    #[error("DATABASE_URL is not a Postgres address (postgres://user:password@host:5432/database)")]
    Address,
    /// Nobody answered in time.
    #[error("cannot reach Postgres at {server}: no answer in {} s", CONNECT_TIMEOUT.as_secs())]
    TimedOut {
        /// Host and port.
        server: String,
    },
    /// The server refused, or is not there.
    #[error("cannot connect to Postgres at {server}; is it running, and is DATABASE_URL right?")]
    Refused {
        /// Host and port.
        server: String,
        /// What the server or the system says.
        #[source]
        source: sqlx::Error,
    },
}

impl DatabaseArgs {
    /// Reads the address.
    ///
    /// # Errors
    /// When it is missing or not a Postgres address.
    pub fn database(&self) -> Result<Database, ConnectError> {
        let url = self.database_url.as_ref().ok_or(ConnectError::Missing)?;
        // sqlx takes any scheme for Postgres'.
        let address = url.expose_secret();
        if !address.starts_with("postgres://") && !address.starts_with("postgresql://") {
            return Err(ConnectError::Address);
        }
        let options = PgConnectOptions::from_str(address)
            .map_err(|_| ConnectError::Address)?
            .application_name("toggl-track-loader")
            .options(SESSION)
            // What is slow is said in our own words; sqlx's hold the whole statement.
            .disable_statement_logging();
        Ok(Database { options })
    }
}

/// How to reach the database; connections are owned by whoever writes, one each, without a pool:
/// after trouble a connection is dropped and made anew, never reused in an unknown state.
#[derive(Debug, Clone)]
pub struct Database {
    options: PgConnectOptions,
}

impl Database {
    /// Host, port and name, for telling it from others; neither user nor password.
    pub fn name(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match self.options.get_database() {
            Some(name) => format!("{host}:{port}/{name}"),
            None => format!("{host}:{port}"),
        }
    }

    /// Where the server is, for making another user's address.
    pub(crate) fn place(&self) -> Place {
        let options = &self.options;
        let socket = options.get_socket().map(|socket| socket.to_string_lossy().into_owned());
        let user = options.get_username().to_owned();
        Place {
            host: socket.unwrap_or_else(|| options.get_host().to_owned()),
            port: options.get_port(),
            name: options.get_database().map_or_else(|| user.clone(), str::to_owned),
            user,
        }
    }

    /// What a person may want to know of the way to the server.
    pub(crate) async fn warning(&self) -> Option<String> {
        let Place { host, port, .. } = self.place();
        let tls = match self.options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow => Tls::Never,
            PgSslMode::Prefer => Tls::IfOffered,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => Tls::Always,
        };
        postgres_warning(&host, port, tls).await
    }

    /// One connection with the loader's session settings.
    ///
    /// # Errors
    /// When nobody answers within five seconds, or the server refuses.
    pub async fn connect(&self) -> Result<PgConnection, ConnectError> {
        let server = || format!("{}:{}", self.options.get_host(), self.options.get_port());
        match tokio::time::timeout(CONNECT_TIMEOUT, self.options.connect()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(ConnectError::Refused { server: server(), source }),
            Err(_) => Err(ConnectError::TimedOut { server: server() }),
        }
    }
}

/// The parts of an address, but for the password and the settings.
#[derive(Debug)]
pub(crate) struct Place {
    /// A name, an address, or the folder of a socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) name: String,
}

/// What a Postgres error means for the batch in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A value that Postgres refuses: isolate the record, load the others.
    Data,
    /// Nobody's fault, or the connection's: drop it and try again.
    Passing,
    /// Somebody has to mend it: a missing table, a missing right, or a bug. It is tried again, too, for
    /// nobody tells when it is mended.
    Mending,
}

impl Trouble {
    /// The retry policy of errors that are not the data's.
    pub const fn disposition(self) -> Disposition {
        match self {
            Self::Passing => Disposition::Retry(None),
            Self::Data => Disposition::Skip,
            Self::Mending => Disposition::Stop,
        }
    }
}

/// Classifies an error of a session that had begun; errors of connecting always pass. What is unknown is
/// to be mended, so that nothing is dropped blindly.
pub fn classify(error: &sqlx::Error) -> Trouble {
    let Some(database) = error.as_database_error() else {
        return if is_of_connection(error) { Trouble::Passing } else { Trouble::Mending };
    };
    if is_of_connection(error) {
        return Trouble::Passing;
    }
    let trouble = database.code().map_or(Trouble::Mending, |code| classify_sqlstate(&code));
    match trouble {
        Trouble::Mending if is_raised(database) => Trouble::Data,
        trouble => trouble,
    }
}

/// Whether the connection is lost: it broke, or the server ended the session, for whatever reason.
pub(crate) fn is_of_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => postgres(&**error)
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        _ => false,
    }
}

/// Whether a statement ran out of time: of its own, or of that which an idle session has, for that is what
/// one is that waits for a slow line to bring the rest of a statement.
pub(crate) fn is_out_of_time(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("57014" | "25P03"))
}

/// What a command finds lacking in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    /// A table, schema or column.
    Tables,
    /// A right.
    Rights,
}

/// What an error says is lacking; none of others.
pub(crate) fn lack(error: &sqlx::Error) -> Option<Lack> {
    match error.as_database_error().and_then(DatabaseError::code).as_deref() {
        Some("42P01" | "3F000" | "42703") => Some(Lack::Tables),
        Some("42501") => Some(Lack::Rights),
        _ => None,
    }
}

/// A trigger's own refusal of a row, whatever code it chose for it.
fn is_raised(error: &dyn DatabaseError) -> bool {
    postgres(error).and_then(PgDatabaseError::routine) == Some("exec_stmt_raise")
}

fn postgres(error: &dyn DatabaseError) -> Option<&PgDatabaseError> {
    error.try_downcast_ref()
}

fn classify_sqlstate(code: &str) -> Trouble {
    // The exceptions first: 25006 is a server that became read-only, 55P03 a lock not available, 55006
    // an object in use, 57014 a statement that ran out of time, 58030 an I/O error, 25P02 a transaction
    // already lost, 25P03 and 25P04 one that was idle or took too long, as when the line was silent for a
    // while. 39P0x is a trigger that is wrong for every row, and 20000 a CASE in one that fits no branch.
    match code {
        "25006" | "25P02" | "25P03" | "25P04" | "55006" | "55P03" | "58030" => {
            return Trouble::Passing;
        }
        "09000" | "20000" | "27000" | "44000" => return Trouble::Data,
        _ => {}
    }
    match code.get(..2) {
        // P0 is PL/pgSQL's `raise` and `assert`, 38 what functions in other languages raise.
        Some("22" | "23" | "38" | "54" | "P0") => Trouble::Data,
        Some("08" | "40" | "53" | "57") => Trouble::Passing,
        _ => Trouble::Mending,
    }
}

/// What to do about it, in a few words.
pub(crate) fn advice(error: &sqlx::Error) -> &'static str {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.as_deref().unwrap_or_default();
    match code {
        "25006" => "is this the primary, and is `default_transaction_read_only` off?",
        "42501" => "grant this role what loaders have; `loader check` names it",
        "42P01" | "42703" | "3F000" => {
            "restore the table from a backup, or run `loader migrate` if it is older than this loader"
        }
        "40P01" | "55006" | "55P03" => {
            "somebody holds a lock on it: see pg_locks and pg_stat_activity"
        }
        "53100" => "make room on the disk of Postgres",
        "57014" => "is there a slow trigger on it, or is Postgres overloaded?",
        _ => "mend that",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_ask_for_what_the_policy_says() {
        let table = [
            (
                Trouble::Data,
                "22P05 22021 22P02 22003 22008 23502 23505 23514 54001 54000 P0000 P0001 P0002 P0003 \
                 P0004 38000 38001 09000 20000 27000 44000",
            ),
            (
                Trouble::Passing,
                "08000 08006 08P01 40001 40P01 53100 53200 53300 55006 55P03 57014 57P01 57P03 57P05 \
                 58030 25006 25P02 25P03 25P04",
            ),
            (
                Trouble::Mending,
                "0A000 21000 25001 2F005 28000 28P01 39P01 3D000 3F000 42501 42703 42804 42883 42P01 \
                 42P10 55000 55P02 55P04 58000 58P01 F0000 HV000 XX000 XX001 ZZ001",
            ),
        ];
        for (trouble, codes) in table {
            for code in codes.split(' ') {
                assert_eq!(classify_sqlstate(code), trouble, "{code}");
            }
        }
    }

    #[tokio::test]
    async fn a_server_on_the_internet_is_warned_of_unless_tls_is_insisted_on() {
        for (url, is_warned_of) in [
            ("postgres://eva:hunter2@8.8.8.8/d", true),
            ("postgres://eva:hunter2@8.8.8.8/d?sslmode=allow", true),
            ("postgres://eva:hunter2@8.8.8.8/d?sslmode=verify-full", false),
            ("postgres://eva:hunter2@%2Frun%2Fpostgresql/d", false),
            ("postgres://eva:hunter2@10.0.0.1/d", false),
        ] {
            let database = DatabaseArgs { database_url: Some(url.into()) }.database().unwrap();
            assert_eq!(database.warning().await.is_some(), is_warned_of, "{url}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_repeated_in_the_error() {
        let args = DatabaseArgs { database_url: Some("mysql://user:hunter2@host/db".into()) };
        let error = format!("{:?} {}", args.database().unwrap_err(), args.database().unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
    }
}
