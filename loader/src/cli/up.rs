//! What begins with bringing the tables up to date: the commands that make or change something, and
//! the loader that stays.

use std::sync::Arc;

use async_nats::jetstream::Context;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::Server;
use shared::output::report;
use shared::shutdown::Shutdown;
use shared::stream::{self, BUCKET, STREAM, StreamArgs};
use shared::telemetry::MIGRATIONS;
use sqlx::{Connection as _, PgConnection};
use tracing::{error, info};

use super::load::{Eye, load};
use super::start::Start;
use super::{Cli, Command};
use crate::apply::settings::Options;
use crate::consume::serve::Settings;
use crate::consume::troubles::Troubles;
use crate::http;
use crate::metrics::Metrics;
use crate::migrations::{self, MigrationError, VaultArgs};
use crate::ownership::Ownership;
use crate::ownership::adopt::adopt;
use crate::postgres::database::Database;
use crate::status::age;
use crate::status::pipeline::Pipeline;

pub(super) async fn run(
    cli: Cli,
    database: Database,
    server: Server<'_>,
    shutdown: Shutdown,
) -> Result<Exit, Failure> {
    let is_resident =
        !matches!(cli.command, Some(Command::Migrate | Command::Setup(_) | Command::Adopt));
    let listener =
        if is_resident { http::bind(cli.run.http).await.or_exit(Exit::Failed)? } else { None };
    let listener = listener.map(Arc::new);
    let pipeline = Pipeline::new(database.name(), server.names()).started();
    let start = if is_resident {
        Start::of_loader(&shutdown, listener.as_ref(), &pipeline)
    } else {
        Start::of_command(&shutdown)
    };
    let Some(connection) = start.postgres(&database).await? else { return Ok(Exit::Done) };
    let Some((connection, done)) =
        tables(&cli, connection, &database, is_resident, &shutdown).await?
    else {
        return Ok(Exit::Done);
    };
    let Some(client) = start.nats(&server).await? else { return Ok(Exit::Done) };
    let context = server.jetstream(client);
    let Some(()) = start.stream(&context, &cli.stream).await? else { return Ok(Exit::Done) };
    match cli.command {
        Some(Command::Setup(_)) => {
            bucket(&context, &cli.stream).await?;
            return Ok(done);
        }
        Some(Command::Adopt) => return take_over(&context, &cli, connection).await,
        _ => connection.close().await.or_exit(Exit::Unreachable)?,
    }
    // Others answer from here on.
    drop(start);
    let max_age = cli.run.max_age.unwrap_or(age::DEFAULT);
    let eye = listener.map(|listener| Eye { pipeline, max_age, listener });
    load(context, database, cli.serve_settings(), cli.retention, eye, shutdown).await
}

impl Cli {
    fn serve_settings(&self) -> Settings {
        Settings {
            readers: self.readers(),
            stream: self.stream.clone(),
            ack_wait: self.run.ack_wait,
            writers: usize::from(self.run.writers),
            options: Options { history: self.run.history, ..Options::default() },
            ownership: Ownership::default(),
            metrics: Metrics::default(),
            troubles: Troubles::default(),
        }
    }
}

/// Makes the tables, or brings them up to date, and before that the log-ins that `setup` is to make. None
/// where nothing else is to be done, else how a command ends for which the rest works.
async fn tables(
    cli: &Cli,
    mut connection: PgConnection,
    database: &Database,
    is_resident: bool,
    shutdown: &Shutdown,
) -> Result<Option<(PgConnection, Exit)>, Failure> {
    let made = match &cli.command {
        Some(Command::Setup(args)) => args.prepare(&mut connection, &cli.vault).await,
        _ => Ok(None),
    };
    let made = made.or_exit(Exit::Failed)?;
    match prepare(&mut connection, &cli.vault, is_resident, shutdown).await {
        Err(MigrationError::Interrupted) if is_resident => {
            info!(target: MIGRATIONS, "Stopped before the tables were up to date");
            return Ok(None);
        }
        prepared => {
            prepared.map_err(|error| Failure { exit: error.exit(), error: error.into() })?;
        }
    }
    if matches!(cli.command, Some(Command::Migrate)) {
        return Ok(None);
    }
    let done = match made {
        Some(made) => made.tell(&mut connection, &cli.database, &database.endpoint()).await?,
        None => Exit::Done,
    };
    Ok(Some((connection, done)))
}

/// Brings the tables up to date; who stays to load looks whether it may.
async fn prepare(
    connection: &mut PgConnection,
    vault: &VaultArgs,
    is_resident: bool,
    shutdown: &Shutdown,
) -> Result<(), MigrationError> {
    match migrations::migrate(connection, vault, &shutdown.soft).await {
        // What is loaded needs no view.
        Err(error) if is_resident && error.is_of_views() => error!(target: MIGRATIONS, "{error}"),
        migrated => migrated?,
    }
    if is_resident {
        migrations::check_rights(connection).await?;
    }
    Ok(())
}

async fn bucket(context: &Context, args: &StreamArgs) -> Result<(), Failure> {
    stream::ensure_bucket(context, args).await.or_exit(Exit::Unreachable)?;
    info!(target: MIGRATIONS, "The stream {} and the bucket {} are up to date", STREAM, BUCKET);
    Ok(())
}

async fn take_over(
    context: &Context,
    cli: &Cli,
    mut connection: PgConnection,
) -> Result<Exit, Failure> {
    let done = adopt(context, &cli.readers(), &mut connection).await.or_exit(Exit::Unreachable)?;
    report(done);
    Ok(Exit::Done)
}
