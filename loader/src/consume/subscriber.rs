//! The pull loop of one table: keeps its consumer alive and hands messages to the worker.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::{MessagesError, MessagesErrorKind, Stream};
use futures::StreamExt as _;
use shared::consumer::{self, EnsureConsumerError, Readers};
use shared::fault_point;
use shared::resource::Resource;
use shared::retry::Delays;
use shared::stream::{self, StreamArgs};
use shared::telemetry::SUBSCRIBER;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::delivery::Delivery;
use super::worker::Worker;
use crate::metrics::Metrics;
use crate::ownership::{Lease, Ownership};

/// Messages pulled at once. More would lie in the client, where nobody holds on to them; the next one is
/// asked for while the last is applied.
const PULL: usize = 1;
/// A pull request is renewed this often. Until then the server speaks of it, also on a line on which it
/// hears nothing any more, which keeps the client from noticing that.
const PULL_EXPIRES: Duration = Duration::from_secs(15);
/// How long one that was asked for is waited for when no more are wanted; where there is one, it comes
/// within a round trip.
const FAREWELL: Duration = Duration::from_millis(200);
/// Silence of this length after a message is looked into: a message that is quicker than the client's note
/// of having asked for it is counted as still to come (async-nats 0.51), and then the client asks for the
/// next one only when the request would have expired, and five seconds later.
/// Then again after twice that, and so on, for as long.
const LULL: Duration = Duration::from_millis(500);
const LONGEST_LULL: Duration = Duration::from_secs(20);
/// Silence of three of these means that the server has forgotten the pull request.
const HEARTBEAT: Duration = Duration::from_secs(5);
const MAX_MISSED_HEARTBEATS: u32 = 3;

/// Waits between attempts to rebuild a consumer.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Everything one table's pull loop needs.
pub(crate) struct Subscriber {
    pub(crate) resource: &'static Resource,
    pub(crate) context: Context,
    pub(crate) readers: Readers,
    pub(crate) stream_args: StreamArgs,
    pub(crate) ack_wait: Duration,
    pub(crate) worker: Arc<Worker>,
    pub(crate) metrics: Metrics,
    /// Whether anything may be taken.
    pub(crate) ownership: Ownership,
    /// Cancelled when the process is asked to end.
    pub(crate) stop: CancellationToken,
}

impl Subscriber {
    /// Runs until asked to stop. A stream that ends, a deleted consumer or a silent server never end
    /// it: the consumer is made anew.
    pub(crate) async fn run(self) {
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        while !self.stop.is_cancelled() {
            let Some(lease) = self.until_ended(self.ownership.admitted()).await else { break };
            match self.until_ended(Box::pin(self.messages(&lease))).await {
                None => break,
                Some(Ok((consumer, messages))) => {
                    // What is on its way when the lease ends is delivered to whoever has the next one.
                    let pulling = self.pull(&consumer, messages);
                    let delivered = lease.withdrawn.run_until_cancelled(pulling).await;
                    if delivered == Some(true) {
                        delays.reset();
                    }
                }
                Some(Err(error)) if is_foreign(&error) => self.ownership.doubt(),
                Some(Err(error)) => error!(
                    target: SUBSCRIBER,
                    resource = self.resource.name,
                    "Could not set up the consumer {}: {error:#}",
                    self.readers.consumer(self.resource)
                ),
            }
            if !self.stop.is_cancelled() {
                let delay = delays.next_delay().unwrap_or(LONGEST_DELAY);
                self.until_ended(tokio::time::sleep(delay)).await;
            }
        }
    }

    /// None when asked to stop before the future was done.
    async fn until_ended<F: Future>(&self, future: F) -> Option<F::Output> {
        self.stop.run_until_cancelled(future).await
    }

    /// Stream and consumer are declared at every (re)start: either may have been deleted.
    async fn messages(&self, lease: &Lease) -> anyhow::Result<(PullConsumer, Stream)> {
        stream::ensure_stream(&self.context, &self.stream_args).await?;
        let consumer: PullConsumer = consumer::ensure_consumer(
            &self.context,
            &self.readers,
            self.resource,
            self.ack_wait,
            |notes, others| lease.owner.take(&self.readers, notes, others),
        )
        .await?;
        debug!(target: SUBSCRIBER, "Consuming {}", self.resource.subject());
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULL)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await?;
        Ok((consumer, messages))
    }

    /// Hands on messages until the stream must be rebuilt. True if any came.
    async fn pull(&self, consumer: &PullConsumer, mut messages: Stream) -> bool {
        let mut delivered = false;
        let mut patience = Duration::MAX;
        let mut missed = 0;
        let mut room = None;
        while !self.stop.is_cancelled() {
            // Looked at only while more is wanted: whoever looks asks the server for the next one.
            if room.is_none() {
                room = self.until_ended(self.room()).await.flatten();
                if room.is_none() {
                    break;
                }
            }
            let next = tokio::time::timeout(patience, messages.next());
            let Some(next) = self.until_ended(next).await else {
                break;
            };
            let Ok(next) = next else {
                patience = Some(patience * 2)
                    .filter(|lull| *lull <= LONGEST_LULL)
                    .unwrap_or(Duration::MAX);
                if is_forgotten(consumer).await {
                    break;
                }
                continue;
            };
            match next {
                Some(Ok(message)) => {
                    delivered = true;
                    patience = LULL;
                    missed = 0;
                    if let Some(room) = room.take() {
                        self.hand_on(message, room);
                    }
                }
                ended => {
                    if self.must_rebuild(ended.and_then(Result::err).as_ref(), &mut missed) {
                        break;
                    }
                }
            }
        }
        self.hand_back(messages).await;
        delivered
    }

    /// Whether the stream is to be made anew after this error, or after its end.
    fn must_rebuild(&self, error: Option<&MessagesError>, missed: &mut u32) -> bool {
        let resource = self.resource.name;
        match error {
            Some(error) if error.kind() == MessagesErrorKind::MissingHeartbeat => {
                *missed += 1;
                let is_gone = *missed >= MAX_MISSED_HEARTBEATS;
                if is_gone {
                    warn!(target: SUBSCRIBER, resource, "No sign of the server, pulling anew");
                }
                is_gone
            }
            Some(error) => {
                warn!(target: SUBSCRIBER, resource, %error, "Rebuilding the consumer");
                true
            }
            None => {
                warn!(target: SUBSCRIBER, resource, "The message stream ended, rebuilding it");
                true
            }
        }
    }

    /// What has been asked for and is on its way goes back at once, instead of after an `ack_wait`.
    async fn hand_back(&self, mut messages: Stream) {
        let last = tokio::time::timeout(FAREWELL, messages.next()).await;
        if let Ok(Some(Ok(message))) = last
            && let Some(delivery) = self.delivery(message)
        {
            delivery.release().await;
        }
    }

    /// Waits until another message is wanted.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.worker.pool.reachable().await;
        self.worker.tables.find(self.resource)?.room().await
    }

    fn hand_on(&self, message: async_nats::jetstream::Message, room: OwnedSemaphorePermit) {
        let Some(delivery) = self.delivery(message) else {
            return;
        };
        if delivery.redelivered {
            self.metrics.redelivered(self.resource);
        }
        fault_point::reach(fault_point::DELIVERED);
        self.worker.take(delivery.hold(self.ack_wait), room);
    }

    fn delivery(&self, message: async_nats::jetstream::Message) -> Option<Delivery> {
        let delivery = Delivery::new(self.resource, message);
        if delivery.is_none() {
            error!(target: SUBSCRIBER, resource = self.resource.name, "A message without JetStream's metadata; it stays unacknowledged");
        }
        delivery
    }
}

/// Whether the consumer has become another database's.
fn is_foreign(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<EnsureConsumerError>();
    matches!(error, Some(EnsureConsumerError::Foreign(_)))
}

/// Whether nobody asks the server for messages.
async fn is_forgotten(consumer: &PullConsumer) -> bool {
    consumer.get_info().await.is_ok_and(|info| info.num_waiting == 0)
}
