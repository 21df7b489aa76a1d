//! Batches to JetStream: a batch counts only when the server has acknowledged it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use shared::batch::Batch;
use shared::fault_point;
use shared::listing::{Listing, MAX_BYTES};
use shared::message::message;
use shared::resource::Resource;
use shared::retry::{Delays, Disposition};
use shared::telemetry::PUBLISHER;
use tracing::{debug, warn};
use uuid::Uuid;

mod error;

pub use self::error::PublishError;
pub(crate) use self::error::is_full;
use self::error::{disposition, refused};
use crate::promise::Promise;

/// Batches of one listing on their way at once; 32 half-megabyte messages are 16 MiB in flight.
const IN_FLIGHT: usize = 32;
/// Room for subject, headers and protocol in the server's `max_payload`.
const HEADER_ROOM: usize = 1024;
/// What is kept of something unusable that is larger than the server takes.
const SHORTENED_BYTES: usize = 16 * 1024;
/// How long a publish is repeated; well inside the stream's duplicate window.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Publishes the batches of one run.
#[derive(Debug)]
pub struct Publisher {
    context: Context,
    max_payload: usize,
    promise: Promise,
    run_id: Uuid,
    next_parts: Mutex<HashMap<(&'static str, i64), u32>>,
    sent: Mutex<BTreeMap<&'static str, Sent>>,
}

/// What JetStream has acknowledged of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Records.
    pub records: u64,
    /// Messages that held them.
    pub batches: u64,
    /// Bytes of these messages, compressed.
    pub bytes: u64,
    /// Place of the newest of them in the stream.
    pub last_sequence: u64,
}

/// Of each resource the place of the newest message in the stream.
pub type Newest = BTreeMap<&'static str, u64>;

/// What became of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Records that JetStream has acknowledged.
    pub records: usize,
    /// Ids of records too large for the server.
    pub too_large: Vec<i64>,
}

impl Published {
    fn sum(outcomes: Vec<Self>) -> Self {
        outcomes.into_iter().fold(Self::default(), |mut sum, one| {
            sum.records += one.records;
            sum.too_large.extend(one.too_large);
            sum
        })
    }
}

impl Publisher {
    /// Starts a run. `max_payload` is the server's limit on a message, headers included.
    pub fn new(context: Context, max_payload: usize) -> Self {
        let run_id = Uuid::now_v7();
        let (next_parts, sent, promise) = (Mutex::default(), Mutex::default(), Promise::default());
        Self { context, max_payload, promise, run_id, next_parts, sent }
    }

    /// Each batch tells how old its table gets at most.
    pub(crate) fn promising(self, promise: Promise) -> Self {
        Self { promise, ..self }
    }

    /// The run whose batches these are.
    pub const fn run_id(&self) -> Uuid {
        self.run_id
    }

    /// What was acknowledged so far, by resource.
    pub fn sent(&self) -> BTreeMap<&'static str, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where in the stream the newest acknowledged messages are.
    pub fn newest(&self) -> Newest {
        self.sent().into_iter().map(|(resource, sent)| (resource, sent.last_sequence)).collect()
    }

    fn note_sent(&self, resource: &Resource, records: usize, bytes: usize, sequence: u64) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sent.entry(resource.name).or_default();
        sent.records += records as u64;
        sent.batches += 1;
        sent.bytes += bytes as u64;
        sent.last_sequence = sent.last_sequence.max(sequence);
    }

    /// Publishes a listing and waits for every acknowledgement. Records too large for the server are
    /// named in the answer; the others go on.
    ///
    /// # Errors
    /// See [`PublishError`]; some batches may have been stored then, which is harmless.
    pub async fn publish(&self, listing: Listing) -> Result<Published, PublishError> {
        let resource = listing.resource;
        let batches = self.cut(listing);
        let outcomes: Vec<Published> = futures::stream::iter(batches)
            .map(|batch| self.publish_batch(resource, batch))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        Ok(Published::sum(outcomes))
    }

    /// Numbers go on where the last listing of the same resource and workspace ended.
    fn cut(&self, listing: Listing) -> Vec<Batch> {
        let key = (listing.resource.name, listing.workspace_id);
        let mut parts = self.next_parts.lock().unwrap_or_else(PoisonError::into_inner);
        let next = parts.entry(key).or_default();
        let batches = listing.into_batches(self.run_id, *next, self.room());
        *next += u32::try_from(batches.len()).unwrap_or(u32::MAX);
        batches
    }

    fn next_part(&self, resource: &'static Resource, workspace_id: i64) -> u32 {
        let mut parts = self.next_parts.lock().unwrap_or_else(PoisonError::into_inner);
        let next = parts.entry((resource.name, workspace_id)).or_default();
        *next += 1;
        *next - 1
    }

    /// For the payload of a message.
    const fn room(&self) -> usize {
        self.max_payload.saturating_sub(HEADER_ROOM)
    }

    async fn publish_batch(
        &self,
        resource: &'static Resource,
        batch: Batch,
    ) -> Result<Published, PublishError> {
        let payload = batch.encode()?;
        if payload.len() <= self.room().min(MAX_BYTES) {
            return self.publish_message(resource, batch, payload).await;
        }
        if batch.rejected.is_empty() && batch.records.len() > 1 {
            let workspace_id = batch.workspace_id;
            let smaller = batch.cut_again(self.room(), || self.next_part(resource, workspace_id));
            let mut outcomes = Vec::with_capacity(smaller.len());
            for batch in smaller {
                let payload = batch.encode()?;
                outcomes.push(self.publish_message(resource, batch, payload).await?);
            }
            return Ok(Published::sum(outcomes));
        }
        self.publish_message(resource, batch, payload).await
    }

    async fn publish_message(
        &self,
        resource: &'static Resource,
        batch: Batch,
        mut payload: Bytes,
    ) -> Result<Published, PublishError> {
        if payload.len() > self.room() && !batch.rejected.is_empty() {
            payload = shortened(&batch).encode()?;
        }
        if payload.len() > self.room() {
            // Only a record that fills a batch by itself gets here: the cut keeps the others below.
            return Ok(Published {
                records: 0,
                too_large: batch.records.iter().map(|record| record.source_id).collect(),
            });
        }
        let bytes = payload.len();
        let message = message(resource, &batch, payload, self.promise.of(resource));
        let sequence = self.send(resource.subject(), message).await?;
        self.note_sent(resource, batch.records.len(), bytes, sequence);
        debug!(
            target: PUBLISHER,
            part = batch.part,
            records = batch.records.len(),
            bytes,
            "Published a batch of {}", resource.name
        );
        Ok(Published { records: batch.records.len(), too_large: Vec::new() })
    }

    /// Repeats a publish with the same message id until it is acknowledged, so that an attempt whose
    /// acknowledgement was lost is not stored twice. Answers its place in the stream.
    async fn send(&self, subject: String, message: PublishMessage) -> Result<u64, PublishError> {
        let mut delays =
            Delays::within(Duration::from_millis(200), Duration::from_secs(5), PATIENCE);
        fault_point::reach(fault_point::BEFORE_PUBLISH);
        loop {
            let error = match self.context.send_publish(subject.clone(), message.clone()).await {
                Ok(acknowledgement) => match acknowledgement.await {
                    Ok(acknowledged) => {
                        fault_point::reach(fault_point::AFTER_PUBLISH);
                        if acknowledged.duplicate {
                            debug!(target: PUBLISHER, "Was stored at the first attempt");
                        }
                        return Ok(acknowledged.sequence);
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let delay = match disposition(&error) {
                Disposition::Retry(_) => delays.next_delay(),
                Disposition::Skip | Disposition::Stop => None,
            };
            let Some(delay) = delay else {
                return Err(refused(subject, error));
            };
            warn!(target: PUBLISHER, %error, "Not acknowledged, again in {:.1} s", delay.as_secs_f64());
            tokio::time::sleep(delay).await;
        }
    }
}

/// What no record could be made of is for a person to look at: better its beginning than nothing.
fn shortened(batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    for rejected in &mut batch.rejected {
        rejected.data.truncate(SHORTENED_BYTES);
        rejected.reason.push_str(
            "; it is larger than the NATS server's max_payload, so only its beginning is kept",
        );
    }
    batch
}
