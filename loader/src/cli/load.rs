//! The loader that stays, and what it does beside the loading.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::shutdown::Shutdown;
use shared::telemetry::SUBSCRIBER;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::info;

use crate::consume::serve::{self, Settings};
use crate::http;
use crate::http::watch::watch;
use crate::postgres::database::Database;
use crate::prune::{self, RetentionArgs};
use crate::settle;
use crate::status::pipeline::Pipeline;

/// What a loader shows of itself, and where.
pub(super) struct Eye {
    pub(super) pipeline: Pipeline,
    pub(super) max_age: Duration,
    pub(super) listener: Arc<TcpListener>,
}

/// Loads until it is stopped, and can be watched if there is an eye.
pub(super) async fn load(
    context: Context,
    database: Database,
    settings: Settings,
    retention: RetentionArgs,
    eye: Option<Eye>,
    shutdown: Shutdown,
) -> Result<Exit, Failure> {
    // Ended by being dropped, when the loading has ended.
    let mut beside = JoinSet::new();
    beside.spawn(settle::forever(database.clone()));
    if retention.is_set() {
        beside.spawn(prune::daily(database.clone(), retention));
    }
    if let Some(Eye { pipeline, max_age, listener }) = eye {
        let metrics = settings.metrics.clone();
        let (watch, watcher) = watch(
            (pipeline, max_age),
            context.clone(),
            database.clone(),
            (settings.readers.clone(), settings.ownership.clone()),
            metrics.clone(),
            settings.troubles.clone(),
            shutdown.soft.clone(),
        );
        beside.spawn(watcher.run());
        http::announce(&listener);
        beside.spawn(http::serve(listener, http::router(watch, metrics)));
    }
    let client = context.client();
    serve::serve(context, database, settings, shutdown).await.or_exit(Exit::Failed)?;
    // Acknowledgements that are still queued go out before the process ends.
    drop(tokio::time::timeout(Duration::from_secs(2), client.drain()).await);
    info!(target: SUBSCRIBER, "Stopped");
    Ok(Exit::Done)
}
