//! Whether a session is one's own.
//!
//! A pooler may lend its sessions for a transaction or a statement only. Locks, settings and prepared
//! statements of a session then belong to whoever comes next, and nobody is told.

use std::fmt;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::error::is_of_shared_session;

/// A pooler whose sessions are all lent lets the next client wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Each time all sessions change hands, if they do; where others use the pooler too, one look could miss it.
const ROUNDS: usize = 3;
/// A process of one server; of another one it may have the same number.
const IDENTITY: &str = "select pg_backend_pid()::text || ' ' || pg_postmaster_start_time()::text";

/// What sessions are here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// As far as can be seen, each connection has its own.
    Own,
    /// A second connection gets none: a pooler has no more of them.
    Few,
    /// They change hands.
    Shared,
}

/// What the poolers of this trade offer instead, as far as the host tells which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Of Supabase.
    Supabase,
    /// Of Neon.
    Neon,
    /// Any other.
    Other,
}

impl Pooler {
    pub(super) fn of(host: &str) -> Self {
        if host.ends_with(".pooler.supabase.com") || host.ends_with(".supabase.co") {
            Self::Supabase
        } else if host.ends_with(".neon.tech") {
            Self::Neon
        } else {
            Self::Other
        }
    }
}

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supabase => "use port 5432 of the same host instead of 6543",
            Self::Neon => "use the host without `-pooler`",
            Self::Other => {
                "connect to Postgres itself, or to a pooler in session mode (PgBouncer: `pool_mode = \
                 session` for this database; Supabase: port 5432 instead of 6543; Neon: the host without \
                 `-pooler`)"
            }
        })
    }
}

/// Looks whether this connection keeps its session while another one, which `connect` makes, is at work. It
/// leaves nothing behind, and prepares nothing.
///
/// # Errors
/// When this connection breaks.
pub(super) async fn look<C, E>(
    own: &mut PgConnection,
    connect: impl FnOnce() -> C,
) -> sqlx::Result<Sessions>
where
    C: Future<Output = Result<PgConnection, E>>,
{
    let before = identity(own).await?;
    // That others are not let in proves nothing.
    let Ok(mut other) = connect().await else { return Ok(Sessions::Own) };
    for _ in 0..ROUNDS {
        match timeout(PATIENCE, begin(&mut other)).await {
            // At once, for it may be the only one there is.
            Ok(Ok(theirs)) if theirs == before => return Ok(Sessions::Shared),
            Ok(Ok(_)) => {}
            Ok(Err(error)) if is_statement_mode(&error) => return Ok(Sessions::Shared),
            Ok(Err(_)) => return Ok(Sessions::Own),
            Err(_) => {
                let is_same = identity(own).await? == before;
                return Ok(if is_same { Sessions::Few } else { Sessions::Shared });
            }
        }
        let now = timeout(PATIENCE, identity(own)).await;
        let is_over = other.execute(sqlx::raw_sql("rollback")).await.is_err();
        // Where all sessions are lent it has one only now.
        let now = match now {
            Ok(now) => now?,
            Err(_) => identity(own).await?,
        };
        if now != before {
            return Ok(Sessions::Shared);
        }
        if is_over {
            break;
        }
    }
    drop(timeout(PATIENCE, other.close()).await);
    Ok(Sessions::Own)
}

async fn begin(connection: &mut PgConnection) -> sqlx::Result<String> {
    connection.execute(sqlx::raw_sql("begin")).await?;
    identity(connection).await
}

async fn identity(connection: &mut PgConnection) -> sqlx::Result<String> {
    connection.fetch_one(sqlx::raw_sql(IDENTITY)).await?.try_get(0)
}

/// Whether there are no transactions at all, or statements are not where they were prepared.
fn is_statement_mode(error: &sqlx::Error) -> bool {
    let said = error
        .as_database_error()
        .is_some_and(|error| error.message().contains("statement pooling"));
    said || is_of_shared_session(error)
}
