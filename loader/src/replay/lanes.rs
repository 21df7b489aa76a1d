//! From messages to tables: decoded ahead, and applied over a few connections at once.
//!
//! What concerns one resource and workspace is applied in the order of the stream, except for the parts
//! of one run that claim: they claim different rows, so their order changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use jiff::Timestamp;
use shared::batch::{Batch, Coverage};
use shared::exit::chain;
use shared::resource::Resource;
use shared::retry::{Delays, Disposition};
use shared::telemetry::REPLAY;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::error::ReplayError;
use super::seen::BatchKey;
use super::tally::Outcome;
use crate::apply::fetch_time;
use crate::apply::pieces::Cutting;
use crate::consume::applier::{Applier, WriteError};
use crate::consume::delivery::Delivery;
use crate::consume::pool::FIRST_DELAY;

/// The longest wait between two attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(15);
/// How long one batch is tried again while Postgres is in trouble.
const PATIENCE: Duration = Duration::from_mins(5);

/// A message, read as far as it can be.
pub(super) struct Work {
    delivery: Delivery,
    batch: Result<(&'static Resource, Batch), String>,
    cutting: Cutting,
    /// Held until it is settled.
    _turn: TaskTrackerToken,
}

/// What became of a message of a resource.
pub(super) struct Done {
    pub(super) resource: &'static str,
    /// None of a message that cannot be decoded.
    pub(super) batch: Option<BatchKey>,
    pub(super) outcome: Outcome,
}

/// The batches of a resource and workspace that are being applied side by side.
#[derive(Default)]
struct Group {
    /// The run whose claims they are; none for a batch that is to be alone.
    run_id: Option<Uuid>,
    turns: TaskTracker,
}

impl Group {
    /// A turn beside the others of its run, or when all before it are done.
    async fn turn(&mut self, run_id: Option<Uuid>) -> TaskTrackerToken {
        if run_id.is_none() || self.run_id != run_id {
            self.turns.close();
            self.turns.wait().await;
            self.turns.reopen();
            self.run_id = run_id;
        }
        self.turns.token()
    }
}

/// Decodes messages and deals them out. What was fetched later than is wanted ends here; of a message
/// that cannot be decoded only the time of publishing is known.
pub(super) async fn deal(
    from: Receiver<Delivery>,
    lanes: Sender<Work>,
    done: Sender<Done>,
    until: Option<Timestamp>,
) {
    let mut groups: HashMap<_, Group> = HashMap::new();
    while let Ok(delivery) = from.recv().await {
        let batch = delivery.decode().map_err(|error| chain(&error));
        let (key, fetched_at, run_id) = match &batch {
            Ok((resource, batch)) => {
                let claims = batch.coverage != Coverage::Partial;
                let key = (resource.name, batch.workspace_id);
                (
                    key,
                    fetch_time::fetched_at(batch, &delivery.origin),
                    claims.then_some(batch.run_id),
                )
            }
            Err(_) => ((delivery.resource.name, 0), delivery.origin.published_at, None),
        };
        let sent = if until.is_some_and(|until| fetched_at > until) {
            let batch = batch.as_ref().ok().map(|(_, batch)| BatchKey::of(batch));
            done.send(Done { resource: key.0, batch, outcome: Outcome::Later }).await.is_ok()
        } else {
            let turn = groups.entry(key).or_default().turn(run_id).await;
            lanes
                .send(Work { delivery, batch, cutting: Cutting::default(), _turn: turn })
                .await
                .is_ok()
        };
        // Lanes that are gone have said why.
        if !sent {
            return;
        }
    }
}

/// Applies batches on one connection.
pub(super) struct Lane {
    pub(super) applier: Applier,
    pub(super) done: Sender<Done>,
    /// Cancelled when the replay is to end before it is done.
    pub(super) stop: CancellationToken,
}

impl Lane {
    /// Until the channel closes, or until `stop`, which lets the batch in hand be finished.
    pub(super) async fn run(mut self, works: Receiver<Work>) -> Result<(), ReplayError> {
        while let Ok(mut work) = works.recv().await {
            if self.stop.is_cancelled() {
                break;
            }
            match self.settle(&mut work).await {
                Ok(None) => break,
                Ok(Some(done)) => {
                    if self.done.send(done).await.is_err() {
                        break;
                    }
                }
                Err(source) => {
                    self.stop.cancel();
                    let Delivery { resource, origin, .. } = &work.delivery;
                    let sequence = origin.stream_sequence;
                    return Err(ReplayError::Apply { sequence, resource: resource.name, source });
                }
            }
        }
        self.applier.close().await;
        Ok(())
    }

    /// Tries until it is applied. None if that was not to be waited for.
    async fn settle(&mut self, work: &mut Work) -> Result<Option<Done>, WriteError> {
        let mut delays = Delays::within(FIRST_DELAY, LONGEST_DELAY, PATIENCE);
        loop {
            let error = match self.attempt(work).await {
                Ok(Some(done)) => return Ok(Some(done)),
                // A piece of it; more is to come.
                Ok(None) => {
                    delays.reset();
                    continue;
                }
                Err(error) if error.disposition() == Disposition::Stop => return Err(error),
                Err(error) => error,
            };
            self.applier.forget_connection();
            let Some(delay) = delays.next_delay() else { return Err(error) };
            warn!(
                target: REPLAY,
                "Postgres is in trouble, next attempt in {:.1} s: {}",
                delay.as_secs_f64(),
                chain(&error)
            );
            if self.stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                return Ok(None);
            }
        }
    }

    async fn attempt(&mut self, work: &mut Work) -> Result<Option<Done>, WriteError> {
        let Work { delivery, batch, cutting, .. } = work;
        let sequence = delivery.origin.stream_sequence;
        match batch {
            Ok((resource, batch)) => {
                let applying = self.applier.apply(resource, batch, &delivery.origin, cutting);
                let Some(applied) = applying.await? else { return Ok(None) };
                debug!(target: REPLAY, sequence, resource = resource.name, ?applied, "Applied a batch");
                if let Some(refused) = applied.refused {
                    warn!(target: REPLAY, sequence, "Did not believe a listing of {}, kept it as a dead letter: {refused}", resource.name);
                }
                let (resource, batch) = (resource.name, Some(BatchKey::of(batch)));
                Ok(Some(Done { resource, batch, outcome: Outcome::Applied(applied) }))
            }
            Err(reason) => {
                self.applier.keep_message(&delivery.undecodable(), reason).await?;
                error!(target: REPLAY, sequence, resource = delivery.resource.name, "Kept an unreadable message as a dead letter: {reason}");
                let resource = delivery.resource.name;
                Ok(Some(Done { resource, batch: None, outcome: Outcome::Unreadable }))
            }
        }
    }
}
