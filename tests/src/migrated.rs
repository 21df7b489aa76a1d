//! Databases with the tables and views of today.
//!
//! The loader migrates one, of which the others are copies: that takes an eighth of the time, and is most of what a
//! small test does otherwise. What a first migration does, and in whose name, is tested from empty databases.

use anyhow::{Result, ensure};
use sqlx::{Connection as _, Executor as _};
use tokio::sync::OnceCell;

use crate::servers::{Database, PostgresServer, shared_postgres};
use crate::workers::Worker;

/// A database on the shared server, as the loader migrates it, with an installation id of its own.
///
/// # Errors
/// When the server cannot be started, or the loader does not migrate; the error shows its output.
pub async fn migrated_database() -> Result<Database> {
    static MIGRATED: OnceCell<Database> = OnceCell::const_new();
    let postgres = shared_postgres().await?;
    let original = MIGRATED.get_or_try_init(|| migrate(postgres)).await?;
    let copy = postgres.copy_database(&original.name).await?;
    let mut connection = postgres.connect(&copy.name).await?;
    let own = "update raw.toggl_track__installation set installation_id = gen_random_uuid()";
    connection.execute(own).await?;
    connection.close().await?;
    Ok(copy)
}

async fn migrate(postgres: &PostgresServer) -> Result<Database> {
    let database = postgres.create_database().await?;
    let migrate = Worker::new("loader", &["migrate"]).env("DATABASE_URL", &database.url);
    let finished = migrate.run().await?;
    ensure!(finished.code == Some(0), "the loader does not migrate: {finished:#?}");
    Ok(database)
}
