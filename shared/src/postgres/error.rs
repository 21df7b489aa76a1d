//! Why there is no way to Postgres, each in one line that says what to do.
//!
//! An address is not repeated, for it may hold a password; of what was understood the name may be told.

use std::fmt;
use std::time::Duration;

use sqlx::error::DatabaseError;

use super::pooler::Pooler;
use crate::tls::is_of_tls;

/// Where a parameter was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the address.
    Address(&'static str),
    /// In the environment, under this name.
    Variable(&'static str),
    /// In the file of services.
    Service(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(name) => write!(f, "{name} in DATABASE_URL"),
            Self::Variable(name) => f.write_str(name),
            Self::Service(name) => write!(f, "{name} of the service"),
        }
    }
}

/// What is wrong with an address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// None was given.
    #[error(
        "no database: set DATABASE_URL (postgres://user:password@host:5432/database), or PGHOST, \
         PGDATABASE and the like as for psql"
    )]
    Missing,
    /// It cannot be read.
    #[error(
        "DATABASE_URL is not a Postgres address (postgres://user:password@host:5432/database, or \
         host=… dbname=…); characters such as / ? # @ % in the password are written percent-encoded \
         (%2F %3F %23 %40 %25)"
    )]
    Unreadable,
    /// Nobody knows that parameter.
    #[error(
        "DATABASE_URL has a parameter that Postgres' own clients do not know{}: take it out",
        .0.as_ref().map_or_else(String::new, |name| format!(" ({name})"))
    )]
    Unknown(Option<String>),
    /// It is known, and cannot be had.
    #[error("{place} is not supported: {instead}")]
    Unsupported {
        /// Which.
        place: Place,
        /// What to do.
        instead: &'static str,
    },
    /// A value out of its list.
    #[error("{place} is none of {allowed}")]
    Value {
        /// Which.
        place: Place,
        /// The words there are.
        allowed: &'static str,
    },
    /// Two that do not go together, or one that wants another.
    #[error("{0}")]
    Together(&'static str),
    /// A file cannot be read.
    #[error("cannot read the file that {place} names")]
    File {
        /// Which.
        place: Place,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There is no such service.
    #[error("{0} names a service that stands in neither ~/.pg_service.conf nor PGSERVICEFILE")]
    Service(Place),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is missing or wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody answered in time.
    #[error("cannot reach Postgres at {server}: no answer in {} s", .waited.as_secs())]
    TimedOut {
        /// Host and port.
        server: String,
        /// For how long.
        waited: Duration,
    },
    /// The server refused, or is not there.
    #[error("cannot connect to Postgres at {server}; {}", advice(.source))]
    Refused {
        /// Host and port.
        server: String,
        /// What the server or the system says.
        #[source]
        source: sqlx::Error,
    },
    /// No server is as it is asked for.
    #[error("none of the servers {servers} is {wanted}, as target_session_attrs asks for")]
    Attributes {
        /// Hosts and ports.
        servers: String,
        /// The value.
        wanted: &'static str,
    },
    /// A pooler lends its sessions for a transaction or a statement.
    #[error(
        "at {server} sessions of Postgres are shared, as by a pooler in transaction mode, and this needs \
         one of its own: {pooler}"
    )]
    Shared {
        /// Host and port.
        server: String,
        /// What to use instead.
        pooler: Pooler,
    },
}

impl ConnectError {
    /// What the server says, if it was that which refused.
    pub fn refusal(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Refused { source, .. } => Some(source),
            _ => None,
        }
    }

    fn code(&self) -> Option<String> {
        let error = self.refusal()?.as_database_error()?;
        error.code().map(std::borrow::Cow::into_owned)
    }

    /// Whether the server is on its way: it starts, wakes up, or takes its time to answer.
    pub fn is_waking(&self) -> bool {
        matches!(self, Self::TimedOut { .. }) || self.code().as_deref() == Some("57P03")
    }

    /// Whether it may pass without anybody's doing: not there yet, starting, full, or of another role.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { source, .. } if is_tls(source) => false,
            Self::TimedOut { .. }
            | Self::Attributes { .. }
            | Self::Refused { source: sqlx::Error::Io(_), .. } => true,
            Self::Refused { .. } => self.code().is_some_and(|code| {
                // 08P01 is what poolers say of parameters that they do not know.
                code != "08P01" && matches!(code.get(..2), Some("08" | "53" | "57"))
            }),
            Self::Address(_) | Self::Shared { .. } => false,
        }
    }
}

/// What to do where nothing could be asked.
fn advice(error: &sqlx::Error) -> &'static str {
    let Some(database) = error.as_database_error() else {
        return match error {
            error if is_tls(error) => {
                "check sslmode, sslrootcert and sslcert in DATABASE_URL (with channel_binding=require the \
                 certificate is verified, too), and whether the server speaks TLS"
            }
            _ => GENERAL,
        };
    };
    if database.message().contains("unsupported startup parameter") {
        return "take `options` out of DATABASE_URL and PGOPTIONS, or have the pooler pass it on";
    }
    match database.code().as_deref() {
        Some("57P03") => "it is starting, or shutting down",
        Some("3D000") => "make the database, or correct its name in DATABASE_URL",
        Some("28P01" | "28000") => "check user, password and database in DATABASE_URL",
        _ => GENERAL,
    }
}

/// Whether it was TLS that failed.
pub(super) fn is_tls(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Tls(_)) || is_of_tls(error)
}

const GENERAL: &str = "is it running, and is DATABASE_URL right?";

/// Whether an error is that of a session that somebody else had meanwhile: a prepared statement is not there,
/// or is already.
pub fn is_of_shared_session(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("26000" | "42P05"))
}
