//! The resident loader: subscribers and writers, and their orderly end.

use std::time::Duration;

use async_nats::jetstream::Context;
use shared::catalogue::CATALOGUE;
use shared::consumer::Readers;
use shared::shutdown::Shutdown;
use shared::stream::StreamArgs;
use shared::telemetry::SUBSCRIBER;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::apply::Options;
use crate::database::Database;
use crate::kept::answer_questions;
use crate::meters::Meters;
use crate::ownership::{Keeper, Ownership};
use crate::rules::Rules;
use crate::subscriber::Subscriber;
use crate::writer::Writer;

/// What the resident loader needs to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose consumers it takes batches from.
    pub readers: Readers,
    /// Stream settings to apply.
    pub stream: StreamArgs,
    /// How long a message may be in hand before the server gives it to another loader.
    pub ack_wait: Duration,
    /// Connections to Postgres, each applying one batch at a time.
    pub writers: usize,
    /// How each batch is applied.
    pub options: Options,
    /// Whether anything may be taken; `serve` finds it out.
    pub ownership: Ownership,
    /// Where the work is counted.
    pub meters: Meters,
}

/// Why the loader ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Tables whose loading stopped until a person acts; the log says why.
    #[error("loading stopped for: {}; see the log for the reasons", .0.join(", "))]
    Halted(Vec<&'static str>),
    /// A task died; a bug.
    #[error("a task of the loader died")]
    Died(#[source] tokio::task::JoinError),
}

/// Serves every table until `shutdown`, finishing the batches in hand.
///
/// # Errors
/// See [`ServeError`]. Nothing is lost in either case: what was not committed is not acknowledged.
pub async fn serve(
    context: Context,
    database: Database,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    // Ended by being dropped, when the loading has ended.
    let mut beside = JoinSet::new();
    if settings.readers == Readers::Main {
        beside.spawn(answer_questions(context.client(), database.clone()));
    }
    // One delivery waits for each writer; more would only age here.
    let (sender, receiver) = async_channel::bounded(settings.writers);
    let mut writers = JoinSet::new();
    for _ in 0..settings.writers {
        let rules = Rules::of(settings.options);
        let (ownership, meters) = (settings.ownership.clone(), settings.meters.clone());
        let writer = Writer::new(database.clone(), rules, ownership, meters, shutdown.clone());
        writers.spawn(writer.run(receiver.clone()));
    }
    drop(receiver);
    let keeper = Keeper::new(
        settings.ownership.clone(),
        context.clone(),
        (settings.readers.clone(), settings.stream.clone()),
        database,
        shutdown.soft.clone(),
    );
    writers.spawn(keeper.run());

    let mut subscribers = JoinSet::new();
    for resource in CATALOGUE {
        let subscriber = Subscriber {
            resource,
            context: context.clone(),
            readers: settings.readers.clone(),
            stream_args: settings.stream.clone(),
            ack_wait: settings.ack_wait,
            deliveries: sender.clone(),
            meters: settings.meters.clone(),
            ownership: settings.ownership.clone(),
            stop: shutdown.soft.clone(),
            halt: CancellationToken::new(),
        };
        subscribers.spawn(async move { (resource.name, subscriber.run().await) });
    }
    drop(sender);
    info!(
        target: SUBSCRIBER,
        "Loading {} tables with {} writers", CATALOGUE.len(), settings.writers
    );
    finish(subscribers, writers, shutdown).await
}

/// Waits for the subscribers, which end the writers by closing the channel. A task that dies ends the
/// process: a loader that looks alive and loads nothing is the worst kind.
async fn finish(
    mut subscribers: JoinSet<(&'static str, bool)>,
    mut writers: JoinSet<()>,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let mut halted = Vec::new();
    let ended = async {
        loop {
            tokio::select! {
                biased;
                Some(writer) = writers.join_next() => writer.map_err(ServeError::Died)?,
                Some(subscriber) = subscribers.join_next() => {
                    let (name, in_order) = subscriber.map_err(ServeError::Died)?;
                    if !in_order {
                        halted.push(name);
                    }
                }
                else => return Ok(()),
            }
        }
    };
    if let Some(result) = shutdown.hard.run_until_cancelled(ended).await {
        result?;
    } else {
        warn!(
            target: SUBSCRIBER,
            "Ended without finishing the batches in hand; they will be delivered again"
        );
    }
    if halted.is_empty() { Ok(()) } else { Err(ServeError::Halted(halted)) }
}
