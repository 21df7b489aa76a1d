//! `loader check`: everything that loading needs, tried in order.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use shared::checkup::Checkup;
use shared::consumer::EnsureConsumerError;
use shared::exit::{Exit, Failure};
use shared::nats::{Program, Server};
use shared::stream::{self, Found, STREAM, SUBJECT_PREFIX, StreamArgs};
use sqlx::{Connection as _, PgConnection};

use crate::migrations::rights::{self, Refusal};
use crate::migrations::{self, MigrationError, SchemaState};
use crate::postgres::database::{Database, FEW_SESSIONS};

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader check
  loader check && loader    only where everything is in order";

/// The server removes a consumer of a program that died while it tried it.
const TRIAL: Duration = Duration::from_secs(30);

/// What Postgres does not let us do, and what lets it.
#[derive(Debug, thiserror::Error)]
enum PostgresError {
    #[error("could not ask Postgres")]
    Ask(#[from] sqlx::Error),
    #[error("this Postgres only reads: is DATABASE_URL that of a standby?")]
    ReadOnly,
    #[error(transparent)]
    Tables(#[from] MigrationError),
    #[error("{0}")]
    Rights(Refusal),
    #[error(
        "{0} are missing, though they were made once: load into another database, or have them made as \
         they were and then `loader replay`"
    )]
    Missing(String),
}

#[derive(Debug, thiserror::Error)]
#[error(
    "NATS does not let this user read the stream {STREAM}; the block `authorization` of \
     docker-compose.yml has the rights that the loader needs"
)]
struct ReadError(#[source] async_nats::Error);

/// Trouble is printed, and is the exit code.
pub(crate) async fn run(
    server: Server<'_>,
    database: Database,
    args: &StreamArgs,
) -> Result<Exit, Failure> {
    let mut checkup = Checkup::default();
    if let Some(idle) = database.idle() {
        checkup.note(format_args!("of the way to Postgres, {idle}"));
    }
    if let Some(warning) = database.warning().await {
        checkup.note(warning);
    }
    match database.connect_awake().await {
        Ok(mut connection) => {
            if database.has_few_sessions() {
                checkup.note(FEW_SESSIONS);
            }
            if let Err(error) = postgres(&mut checkup, &mut connection).await {
                let exit = match &error {
                    PostgresError::Ask(_) => Exit::Unreachable,
                    PostgresError::Tables(error) => error.exit(),
                    _ => Exit::Failed,
                };
                checkup.bad(exit, &error);
            }
            drop(connection.close().await);
        }
        Err(error) => {
            checkup.bad(Exit::Unreachable, &error);
            checkup.untried("the tables");
        }
    }
    match server.connect(Program::Loader).await {
        Ok(client) => {
            checkup.good("NATS lets us in");
            if let Some(warning) = server.warning(&client.server_info()).await {
                checkup.note(warning);
            }
            broker(&mut checkup, args, &server.jetstream(client)).await;
        }
        Err(error) => {
            checkup.bad(Exit::Unreachable, &error);
            checkup.untried(format_args!("the stream {STREAM}"));
        }
    }
    Ok(checkup.exit())
}

async fn postgres(
    checkup: &mut Checkup,
    connection: &mut PgConnection,
) -> Result<(), PostgresError> {
    migrations::check_version(connection)?;
    let (version, user, database, read_only, fsync): (String, String, String, bool, bool) =
        sqlx::query_as(
            "select current_setting('server_version'), current_user::text, current_database()::text,
                    current_setting('transaction_read_only')::bool, current_setting('fsync')::bool",
        )
        .fetch_one(&mut *connection)
        .await?;
    if read_only {
        return Err(PostgresError::ReadOnly);
    }
    checkup.good(format_args!("Postgres {version} lets {user} in to {database}"));
    if !fsync {
        checkup.note("Postgres runs with fsync off: a power failure can lose what was loaded");
    }
    migrations::check_encoding(connection).await?;
    match migrations::state(connection).await {
        Ok(SchemaState::Current) => {}
        Ok(SchemaState::Pending) => {
            checkup.good(
                "the tables are not up to date; the next start, or `loader migrate`, makes them so",
            );
            return Ok(());
        }
        Err(error) if error.is_of_views() => checkup.note(error),
        Err(error) => return Err(error.into()),
    }
    let missing = missing(connection).await?;
    if !missing.is_empty() {
        return Err(PostgresError::Missing(missing.join(", ")));
    }
    if let Some(refusal) = rights::look(connection).await? {
        return Err(PostgresError::Rights(refusal));
    }
    checkup.good("the tables are up to date, and ours to write");
    Ok(())
}

/// Tables that somebody has dropped.
async fn missing(connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    let tables: Vec<String> = migrations::all_tables().collect();
    sqlx::query_scalar(
        "select 'raw.' || name from unnest($1::text[]) name
         where not exists (select from pg_class c join pg_namespace n on n.oid = relnamespace
                           where nspname = 'raw' and relname = name)",
    )
    .bind(tables)
    .fetch_all(connection)
    .await
}

/// Nothing is made or changed. What a loader does with its consumers is tried with one that gets nothing
/// to do.
async fn broker(checkup: &mut Checkup, args: &StreamArgs, context: &Context) {
    match stream::inspect_stream(context, args).await {
        Err(error) => return checkup.bad(Exit::Unreachable, &error),
        Ok(Found::Absent) => {
            checkup.good(format_args!("the stream {STREAM} is not there yet; the next start makes it"));
            return;
        }
        Ok(Found::Changes) => checkup.note(format_args!(
            "the stream {STREAM} has other settings than these; the next start changes them if it may"
        )),
        Ok(Found::Current) => checkup.good(format_args!("the stream {STREAM} is there")),
    }
    let stream = match context.get_stream(STREAM).await.map_err(EnsureConsumerError::from) {
        Ok(stream) => stream,
        Err(error) => return checkup.bad(Exit::Unreachable, &error),
    };
    let trial = pull::Config {
        name: Some(format!("trial_{}", std::process::id())),
        filter_subject: format!("{SUBJECT_PREFIX}.trial"),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        inactive_threshold: TRIAL,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer = match stream.create_consumer(trial).await.map_err(EnsureConsumerError::from) {
        Ok(consumer) => consumer,
        Err(error) => return checkup.bad(Exit::Unreachable, &error),
    };
    let name = consumer.cached_info().name.clone();
    match consumer.fetch().max_messages(1).messages().await {
        Ok(_) => checkup.good("NATS lets us read the stream by consumers"),
        Err(error) => checkup.bad(Exit::Unreachable, &ReadError(error.into())),
    }
    // One that cannot be deleted expires.
    drop(stream.delete_consumer(&name).await);
}
