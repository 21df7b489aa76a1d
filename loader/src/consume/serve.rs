//! The resident loader: subscribers and what they hand to the worker, and their orderly end.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use shared::catalogue::CATALOGUE;
use shared::consumer::Readers;
use shared::shutdown::Shutdown;
use shared::stream::StreamArgs;
use shared::telemetry::SUBSCRIBER;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::fetcher_questions::answer_questions;
use super::pool::Pool;
use super::subscriber::Subscriber;
use super::troubles::Troubles;
use super::worker::Worker;
use crate::apply::settings::{ApplySettings, Options};
use crate::metrics::Metrics;
use crate::ownership::{Keeper, Ownership};
use crate::postgres::database::Database;

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
    pub metrics: Metrics,
    /// What keeps tables from being loaded.
    pub troubles: Troubles,
}

/// Why the loader ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A task died; a bug.
    #[error("a task of the loader died")]
    Died,
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
    let apply_settings = ApplySettings::of(settings.options);
    let ownership = settings.ownership.clone();
    let pool = Pool::new(database.clone(), apply_settings, ownership, settings.writers);
    let metrics = settings.metrics.clone();
    let worker = Arc::new(Worker::new(pool, settings.writers, metrics, shutdown.clone()));
    // Ended by being dropped, when the loading has ended.
    let mut beside = JoinSet::new();
    if settings.readers == Readers::Main {
        beside.spawn(answer_questions(context.client(), database.clone()));
    }
    let (readers, troubles) = (settings.readers.clone(), settings.troubles.clone());
    beside.spawn(troubles.tell(context.clone(), readers, Arc::clone(&worker)));
    let keeper = Keeper::new(
        settings.ownership.clone(),
        context.clone(),
        (settings.readers.clone(), settings.stream.clone()),
        database,
        shutdown.soft.clone(),
    );
    let mut subscribers = JoinSet::new();
    subscribers.spawn(keeper.run());
    for resource in CATALOGUE {
        let subscriber = Subscriber {
            resource,
            context: context.clone(),
            readers: settings.readers.clone(),
            stream_args: settings.stream.clone(),
            ack_wait: settings.ack_wait,
            worker: Arc::clone(&worker),
            metrics: settings.metrics.clone(),
            ownership: settings.ownership.clone(),
            stop: shutdown.soft.clone(),
        };
        subscribers.spawn(subscriber.run());
    }
    info!(
        target: SUBSCRIBER,
        "Loading {} tables with {} writers", CATALOGUE.len(), settings.writers
    );
    finish(subscribers, &worker, shutdown).await
}

/// Waits for the subscribers, and for what they handed on. A task that dies ends the process: a loader
/// that looks alive and loads nothing is the worst kind.
async fn finish(
    mut subscribers: JoinSet<()>,
    worker: &Worker,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let ended = async {
        while let Some(subscriber) = subscribers.join_next().await {
            subscriber.map_err(|_| ServeError::Died)?;
        }
        worker.finish().await;
        Ok(())
    };
    let ended = async {
        tokio::select! {
            biased;
            () = worker.died.cancelled() => Err(ServeError::Died),
            ended = ended => ended,
        }
    };
    let ended = shutdown.hard.run_until_cancelled(ended).await;
    if ended.is_none() {
        warn!(
            target: SUBSCRIBER,
            "Ended without finishing the batches in hand; they will be delivered again"
        );
    }
    ended.unwrap_or(Ok(()))
}
