//! A writer owns one connection and applies one delivery after the other.

use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use shared::batch::{Batch, DecodeError};
use shared::exit::chain;
use shared::fault_point;
use shared::resource::Resource;
use shared::retry::{Delays, Disposition};
use shared::shutdown::Shutdown;
use shared::telemetry::{RAW_CLIENT, SUBSCRIBER, run_span};
use tokio::task::{JoinError, JoinSet};
use tracing::{Instrument as _, debug, error, info, warn};

use crate::applier::{Applier, WriteError};
use crate::apply::Applied;
use crate::database::Database;
use crate::delivery::{Delivery, Received};
use crate::meters::Meters;
use crate::rules::Rules;

/// Acknowledgements of a writer on their way at once: as many as all tables together may have in its
/// hands. Committed work is safe without them, so none is worth waiting for.
const MAX_ACKS: usize = 128;

/// Waits between attempts while Postgres is in trouble.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Applies deliveries until the channel closes. Trouble that is not the data's fault is waited out
/// with the message held; only a shutdown gives it back.
pub(crate) struct Writer {
    applier: Applier,
    /// Acknowledgements on their way: the next batch does not wait for them.
    acks: JoinSet<()>,
    meters: Meters,
    shutdown: Shutdown,
}

impl Writer {
    pub(crate) fn new(
        database: Database,
        rules: Rules,
        meters: Meters,
        shutdown: Shutdown,
    ) -> Self {
        Self { applier: Applier::new(database, rules), acks: JoinSet::new(), meters, shutdown }
    }

    /// Runs until every sender is gone and the channel is empty.
    pub(crate) async fn run(mut self, deliveries: Receiver<Received>) {
        loop {
            let received = tokio::select! {
                Some(ended) = self.acks.join_next() => {
                    no_panic(ended);
                    continue;
                }
                received = deliveries.recv() => received,
            };
            let Ok(Received { delivery, batch }) = received else { break };
            if self.shutdown.requested() {
                delivery.release().await;
                continue;
            }
            match batch {
                Ok((resource, batch)) => {
                    let span = run_span(batch.run_id);
                    self.load(delivery, resource, &batch).instrument(span).await;
                }
                Err(reason) => self.bury(delivery, &reason).await,
            }
        }
        while let Some(ended) = self.acks.join_next().await {
            no_panic(ended);
        }
        self.applier.close().await;
    }

    async fn load(&mut self, delivery: Delivery, resource: &'static Resource, batch: &Batch) {
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        let started = Instant::now();
        loop {
            let attempt = Instant::now();
            match self.applier.apply(resource, batch, &delivery.origin).await {
                Ok(applied) => {
                    self.meters.applied(resource, &applied, attempt.elapsed());
                    fault_point::reach(fault_point::BEFORE_ACK);
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
            if let Some(ended) = self.acks.join_next().await {
                no_panic(ended);
            }
        }
        while let Some(ended) = self.acks.try_join_next() {
            no_panic(ended);
        }
        let acking = async move {
            delivery.ack().await;
            fault_point::reach(fault_point::AFTER_ACK);
        };
        self.acks.spawn(acking.in_current_span());
    }

    async fn bury(&mut self, delivery: Delivery, reason: &DecodeError) {
        let reason = chain(reason);
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        loop {
            match self.applier.keep_message(&delivery, &reason).await {
                Ok(()) => {
                    self.meters.buried(delivery.resource);
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

    /// Drops the connection and waits for the next attempt, holding on to the message. False when
    /// there is to be none: the table must stop, or the process is ending.
    async fn wait_out(
        &mut self,
        delivery: &Delivery,
        error: &WriteError,
        delays: &mut Delays,
    ) -> bool {
        self.applier.forget_connection();
        self.meters.postgres_lost();
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
        self.meters.stopped(delivery.resource);
        delivery.halt();
    }
}

/// A task that died takes its writer with it, and that the process.
fn no_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}

fn log_applied(resource: &Resource, batch: &Batch, applied: &Applied, elapsed: Duration) {
    let Applied { received, written, unchanged, stale, deleted, dead, kept_whole, refused } =
        *applied;
    let table = resource.table();
    let elapsed_ms = elapsed.as_millis();
    debug!(
        target: RAW_CLIENT,
        workspace_id = batch.workspace_id, part = batch.part, received, written, unchanged, stale,
        deleted, dead, elapsed_ms, "Applied a batch to raw.{table}"
    );
    if kept_whole {
        // That is logged where it is kept, with the reason.
        return;
    }
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
