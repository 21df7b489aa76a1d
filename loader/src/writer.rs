//! A writer owns one connection and applies one delivery after the other.

use std::time::{Duration, Instant};

use async_channel::Receiver;
use shared::batch::{Batch, DecodeError};
use shared::exit::chain;
use shared::resource::Resource;
use shared::retry::{Delays, Disposition};
use shared::shutdown::Shutdown;
use shared::telemetry::{RAW_CLIENT, SUBSCRIBER};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::apply::{Applied, ApplyError, apply};
use crate::database::{Database, classify};
use crate::dead_letters;
use crate::delivery::Delivery;

/// Longer than any statement may run; past it the peer is taken for dead.
pub(crate) const APPLY_TIMEOUT: Duration = Duration::from_secs(90);

/// Acknowledgements of a writer on their way at once: as many as all tables together may have in its
/// hands. Committed work is safe without them, so none is worth waiting for.
const MAX_ACKS: usize = 128;

/// Waits between attempts while Postgres is in trouble.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Applies deliveries until the channel closes. Trouble that is not the data's fault is waited out
/// with the message held; only a shutdown gives it back.
pub(crate) struct Writer {
    database: Database,
    /// None after trouble: a connection in an unknown state is dropped, never reused.
    connection: Option<PgConnection>,
    /// Acknowledgements on their way: the next batch does not wait for them.
    acks: JoinSet<()>,
    shutdown: Shutdown,
}

impl Writer {
    pub(crate) fn new(database: Database, shutdown: Shutdown) -> Self {
        Self { database, connection: None, acks: JoinSet::new(), shutdown }
    }

    /// Runs until every sender is gone and the channel is empty.
    pub(crate) async fn run(mut self, deliveries: Receiver<Delivery>) {
        while let Ok(delivery) = deliveries.recv().await {
            if self.shutdown.requested() {
                delivery.release().await;
                continue;
            }
            match delivery.decode() {
                Ok((resource, batch)) => self.load(delivery, resource, &batch).await,
                Err(reason) => self.bury(delivery, &reason).await,
            }
        }
        while self.acks.join_next().await.is_some() {}
        if let Some(connection) = self.connection {
            drop(connection.close().await);
        }
    }

    async fn load(&mut self, delivery: Delivery, resource: &'static Resource, batch: &Batch) {
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        let started = Instant::now();
        loop {
            match self.apply(&delivery, resource, batch).await {
                Ok(applied) => {
                    self.ack(delivery).await;
                    log_applied(resource, batch, &applied, started.elapsed());
                    return;
                }
                Err(error) => {
                    if !self.wait_out(&delivery, &error, &mut delays).await {
                        return self.give_up(delivery, &error).await;
                    }
                }
            }
        }
    }

    /// A server that came back without its last consumer state never answers some of them.
    async fn ack(&mut self, delivery: Delivery) {
        while self.acks.len() >= MAX_ACKS {
            self.acks.join_next().await;
        }
        while self.acks.try_join_next().is_some() {}
        self.acks.spawn(delivery.ack());
    }

    async fn bury(&mut self, delivery: Delivery, reason: &DecodeError) {
        let reason = chain(reason);
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        loop {
            match self.keep_message(&delivery, &reason).await {
                Ok(()) => {
                    error!(
                        target: SUBSCRIBER,
                        resource = delivery.resource.name,
                        stream_sequence = delivery.origin.stream_sequence,
                        "Kept an unreadable message as a dead letter: {reason}"
                    );
                    return delivery.terminate(&reason).await;
                }
                Err(error) => {
                    if !self.wait_out(&delivery, &error, &mut delays).await {
                        return self.give_up(delivery, &error).await;
                    }
                }
            }
        }
    }

    async fn apply(
        &mut self,
        delivery: &Delivery,
        resource: &'static Resource,
        batch: &Batch,
    ) -> Result<Applied, WriteError> {
        let connection = self.connected().await?;
        let applying = apply(connection, resource, batch, &delivery.origin, false);
        match tokio::time::timeout(APPLY_TIMEOUT, applying).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(WriteError::TimedOut),
        }
    }

    async fn keep_message(&mut self, delivery: &Delivery, reason: &str) -> Result<(), WriteError> {
        let connection = self.connected().await?;
        let keeping = dead_letters::keep_message(connection, delivery, reason);
        match tokio::time::timeout(APPLY_TIMEOUT, keeping).await {
            Ok(result) => Ok(result.map_err(ApplyError::from)?),
            Err(_) => Err(WriteError::TimedOut),
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, WriteError> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(self.database.connect().await?)),
        }
    }

    /// Drops the connection and waits for the next attempt, holding on to the message. False when
    /// there is to be none: the table must stop, or the process is ending.
    async fn wait_out(
        &mut self,
        delivery: &Delivery,
        error: &WriteError,
        delays: &mut Delays,
    ) -> bool {
        self.connection = None;
        if error.disposition() == Disposition::Stop {
            return false;
        }
        let Some(delay) = delays.next_delay() else {
            return false;
        };
        warn!(
            target: RAW_CLIENT,
            resource = delivery.resource.name,
            "Postgres is in trouble, next attempt in {:.1} s: {}",
            delay.as_secs_f64(),
            chain(error)
        );
        delivery.keep().await;
        self.shutdown.soft.run_until_cancelled(tokio::time::sleep(delay)).await.is_some()
    }

    async fn give_up(&self, delivery: Delivery, error: &WriteError) {
        if error.disposition() != Disposition::Stop {
            return delivery.release().await;
        }
        error!(
            target: RAW_CLIENT,
            resource = delivery.resource.name,
            stream_sequence = delivery.origin.stream_sequence,
            "Stopped loading raw.{}: {}. Nothing is lost; mend it and start the loader again",
            delivery.resource.table(),
            chain(error)
        );
        delivery.halt();
    }
}

/// Why a delivery was not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Connect(#[from] crate::database::ConnectError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("no answer within {} s", APPLY_TIMEOUT.as_secs())]
    TimedOut,
}

impl WriteError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Apply(error) => error.disposition(),
            Self::Connect(crate::database::ConnectError::Refused { source, .. }) => {
                classify(source).disposition()
            }
            Self::Connect(_) | Self::TimedOut => Disposition::Retry(None),
        }
    }
}

fn log_applied(resource: &Resource, batch: &Batch, applied: &Applied, elapsed: Duration) {
    let Applied { received, written, unchanged, stale, deleted, dead, refused } = *applied;
    let table = resource.table();
    let elapsed_ms = elapsed.as_millis();
    debug!(
        target: RAW_CLIENT,
        run_id = %batch.run_id, workspace_id = batch.workspace_id, part = batch.part, received, written, unchanged, stale,
        deleted, dead, elapsed_ms, "Applied a batch to raw.{table}"
    );
    if written + deleted > 0 || unchanged + stale == 0 {
        info!(target: RAW_CLIENT, "Upserted {written} records to raw.{table}{}", rest(applied));
    } else {
        info!(target: RAW_CLIENT, "Nothing new for raw.{table}{}", rest(applied));
    }
    if let Some(refused) = refused {
        error!(
            target: RAW_CLIENT,
            "Did not believe a listing of raw.{table}, kept it as a dead letter: {refused}"
        );
    }
    if dead > 0 {
        error!(target: RAW_CLIENT, "Kept {dead} records of raw.{table} as dead letters");
    }
}

fn rest(applied: &Applied) -> String {
    let counts = [
        (applied.unchanged, "unchanged"),
        (applied.stale, "stale"),
        (applied.deleted, "marked deleted"),
    ];
    let named: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}
