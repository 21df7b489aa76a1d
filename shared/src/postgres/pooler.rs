//! Whether a session is one's own.
//!
//! A pooler may lend its sessions for a transaction or a statement only. Locks, settings and prepared
//! statements of a session then belong to whoever comes next, and nobody is told.

use std::fmt;
use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

/// A pooler whose sessions are all lent lets the next client wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// A quiet pooler shows at the first one. Where others use it too, what was just given back may be theirs, and
/// each round misses that less likely.
const ROUNDS: usize = 6;
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
        let theirs = match timeout(PATIENCE, identity(&mut other)).await {
            Ok(Ok(theirs)) => theirs,
            Ok(Err(_)) => return Ok(Sessions::Own),
            // It waits still, and a farewell would wait as well.
            Err(_) => {
                let is_same = identity(own).await? == before;
                return Ok(if is_same { Sessions::Few } else { Sessions::Shared });
            }
        };
        // Twice: a pooler that goes round its sessions could give each of two the same one each time.
        let is_same = identity(own).await? == before && identity(own).await? == before;
        if !is_same || theirs == before {
            return Ok(Sessions::Shared);
        }
    }
    drop(timeout(PATIENCE, other.close()).await);
    Ok(Sessions::Own)
}

async fn identity(connection: &mut PgConnection) -> sqlx::Result<String> {
    connection.fetch_one(sqlx::raw_sql(IDENTITY)).await?.try_get(0)
}
