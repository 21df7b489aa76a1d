//! `loader replay`: what the stream holds is applied again, beside running loaders or without any.
//!
//! ```text
//! reader (a consumer of its own) ─► decoding ─► lanes (a connection each) ─► tally
//! ```
//!
//! The rules are those of every batch, so that over tables that miss nothing it changes nothing.

mod error;
mod gone;
mod lanes;
mod prepare;
mod progress;
mod reader;
mod report;
mod seen;
mod selection;
mod tally;

use async_channel::{Receiver, Sender, bounded};
use async_nats::jetstream::Context;
use jiff_sqlx::Timestamp as SqlTimestamp;
use shared::exit::{Exit, Failure};
use shared::output;
use shared::shutdown::Shutdown;
use shared::telemetry::REPLAY;
use sqlx::Connection as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::error::ReplayError;
use self::gone::Search;
use self::lanes::{Done, Lane, deal};
use self::prepare::prepare;
use self::progress::Progress;
use self::reader::Reader;
use self::report::Report;
use self::seen::Seen;
use self::selection::Selection;
pub(crate) use self::selection::{EXAMPLES, ReplayArgs};
use self::tally::Tally;
use crate::apply::fits::Fits;
use crate::apply::settings::{ApplySettings, History};
use crate::consume::applier::Applier;
use crate::consume::delivery::Delivery;
use crate::postgres::database::Database;

/// Connections to Postgres, as many as a loader has unless it is told otherwise.
const LANES: usize = 2;
/// Messages on their way to be decoded, and decoded ones that wait for a lane.
const READ_AHEAD: usize = 32;
const DECODED_AHEAD: usize = 4;

impl ReplayArgs {
    /// Before anything is asked of a server.
    ///
    /// # Errors
    /// When the arguments contradict each other.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.selection().map(drop).map_err(failure)
    }
}

/// Replays to the end that the stream has now, and answers what was done. The live tables are taken
/// as they are; those of another schema are made.
///
/// # Errors
/// When a server is out of reach, when something cannot be applied, or when it is interrupted. What
/// was applied stays then, and the same command may be run again.
pub(crate) async fn run(
    context: Context,
    database: Database,
    args: ReplayArgs,
    history: History,
    shutdown: Shutdown,
) -> Result<Exit, Failure> {
    replay(context, database, args, history, shutdown).await.map_err(failure)
}

fn failure(error: ReplayError) -> Failure {
    Failure { exit: error.exit(), error: error.into() }
}

async fn replay(
    context: Context,
    database: Database,
    args: ReplayArgs,
    history: History,
    shutdown: Shutdown,
) -> Result<Exit, ReplayError> {
    let (selection, settings) = (args.selection()?, args.apply_settings(history));
    let connected = shutdown.soft.run_until_cancelled(database.connect_awake()).await;
    let mut connection = connected.ok_or(ReplayError::Interrupted)??;
    let reader = Reader::open(&context, selection.clone()).await?;
    let prepared = prepare(&mut connection, &settings.schema, selection.until).await;
    drop(connection.close().await);
    let started_at = match prepared {
        Ok(now) => now,
        Err(error) => {
            reader.close().await;
            return Err(error.into());
        }
    };
    Box::pin(Replay { reader, selection, settings, database, shutdown, started_at }.carry_out())
        .await
}

struct Replay {
    reader: Reader,
    selection: Selection,
    settings: ApplySettings,
    database: Database,
    shutdown: Shutdown,
    /// By the server's clock.
    started_at: SqlTimestamp,
}

impl Replay {
    async fn carry_out(mut self) -> Result<Exit, ReplayError> {
        let (total, schema) = (self.reader.total(), self.settings.schema.name());
        let (mut tally, mut seen) = (Tally::default(), Seen::default());
        if total > 0 {
            info!(target: REPLAY, "Replaying {total} batches into the tables of schema {schema}");
        }
        let hard = self.shutdown.hard.clone();
        let ended = hard.run_until_cancelled(self.flow(&mut tally, &mut seen)).await;
        let Self { reader, selection, settings, database, started_at, .. } = self;
        // A signal may come when everything is read and not yet applied.
        let complete = matches!(ended, Some(Ok(true))) && tally.settled() == reader.read();
        if complete {
            tally.missing = reader.missing();
        }
        let (beginning, first) = (reader.beginning(), reader.first());
        reader.close().await;
        if total > 0 {
            output::report(tally.to_string());
        } else {
            output::report("Nothing to replay: the stream holds no such batch\n");
        }
        match ended {
            Some(Err(error)) => return Err(error),
            _ if complete => {}
            _ => return Err(ReplayError::Interrupted),
        }
        let (schema, selection, seen) = (&settings.schema, &selection, &seen);
        let force = settings.force;
        let search = Search { schema, force, selection, seen, beginning, first, started_at };
        let report = look(&database, &search).await?;
        output::report(report.to_string());
        Ok(if report.is_lossy() { Exit::Incomplete } else { tally.exit() })
    }

    /// Answers whether everything was read, once all that was begun has ended.
    async fn flow(&mut self, tally: &mut Tally, seen: &mut Seen) -> Result<bool, ReplayError> {
        // A child: a lane that fails stops the others, and is no signal.
        let stop = self.shutdown.soft.child_token();
        let (deliveries, received) = bounded(READ_AHEAD);
        let (done, settled) = bounded(READ_AHEAD);
        let mut tasks = self.spawn(&received, &done, &stop);
        drop((received, done));
        let progress = Progress::new(self.reader.total());
        let reading = async {
            let read = self.reader.run(&deliveries, &stop).await;
            // As long as it is open, everybody behind it waits for more.
            deliveries.close();
            read
        };
        let (read, ()) = tokio::join!(reading, count(settled, tally, seen, progress));
        let mut worked = Ok(());
        while let Some(task) = tasks.join_next().await {
            worked = worked.and(task.map_err(ReplayError::Died).flatten());
        }
        worked?;
        Ok(read?)
    }

    /// Everything behind the reader.
    fn spawn(
        &self,
        received: &Receiver<Delivery>,
        done: &Sender<Done>,
        stop: &CancellationToken,
    ) -> JoinSet<Result<(), ReplayError>> {
        let mut tasks = JoinSet::new();
        let (lanes, works) = bounded(DECODED_AHEAD);
        let fits = Fits::default();
        for _ in 0..LANES {
            let applier = Applier::new(self.database.clone(), self.settings.clone(), fits.clone());
            let lane = Lane { applier, done: done.clone(), stop: stop.clone() };
            tasks.spawn(lane.run(works.clone()));
        }
        let (received, done, until) = (received.clone(), done.clone(), self.selection.until);
        let stop = stop.clone();
        tasks.spawn(async move {
            // Where the lanes have stopped, nobody gives a turn back.
            stop.run_until_cancelled(deal(received, lanes, done, until)).await;
            Ok(())
        });
        tasks
    }
}

/// What of the past was not there to be replayed, now that everything else is done.
async fn look(database: &Database, search: &Search<'_>) -> Result<Report, ReplayError> {
    let mut connection = database.connect().await?;
    let gone = search.look(&mut connection).await.map_err(ReplayError::Compare)?;
    drop(connection.close().await);
    Ok(Report {
        beginning: search.beginning,
        gone,
        schema: search.schema.clone(),
        is_past: search.selection.until.is_some(),
    })
}

/// Until everybody who could settle something is gone.
async fn count(
    settled: Receiver<Done>,
    tally: &mut Tally,
    seen: &mut Seen,
    mut progress: Progress,
) {
    while let Ok(Done { resource, batch, outcome }) = settled.recv().await {
        if let Some(batch) = batch {
            seen.add(resource, batch, &outcome);
        }
        tally.add(resource, outcome);
        progress.advance();
    }
}
