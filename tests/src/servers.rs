//! Private servers: a nats-server and a Postgres of one's own, on loopback, in temporary folders.
//!
//! They end, and their folders go, with the process that started them, however that ends, SIGKILL
//! included (see `process.rs`). What is not installed is fetched once and checked against pinned sums.

pub(crate) mod account;
mod binaries;
pub(crate) mod cluster;
pub(crate) mod folder;
mod hung;
mod nats;
mod pgbouncer;
mod ports;
mod postgres;
pub(crate) mod process;
mod wait;
mod wheels;

use std::path::PathBuf;

use anyhow::Result;
use tokio::sync::OnceCell;

pub use self::nats::{NatsOptions, NatsServer};
pub use self::pgbouncer::{PgBouncer, PoolMode, PoolerOptions};
pub use self::ports::free_port;
pub use self::postgres::{Database, PostgresOptions, PostgresServer, Shutdown};
pub use self::wait::{DEADLINE, wait_for, wait_until_ok};
pub(crate) use self::wheels::python;

/// The Postgres that the tests of one process share: each takes a database of its own from it with
/// [`PostgresServer::create_database`]. It belongs to no runtime, and ends with the process. A test
/// that kills or restarts its server starts one for itself instead.
pub async fn shared_postgres() -> Result<&'static PostgresServer> {
    static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();
    SHARED.get_or_try_init(|| PostgresServer::start(PostgresOptions::default())).await
}

/// The nats-server that [`NatsServer::start`] would start.
///
/// # Errors
/// When there is none, and none can be fetched.
pub async fn nats_server_program() -> Result<PathBuf> {
    tokio::task::spawn_blocking(|| binaries::Places::from_environment().nats_server()).await?
}
