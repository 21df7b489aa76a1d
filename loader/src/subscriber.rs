//! The pull loop of one table: keeps its consumer alive and hands messages to the writers.

use std::time::Duration;

use async_channel::Sender;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::{MessagesErrorKind, Stream};
use futures::{FutureExt as _, StreamExt as _};
use shared::resource::Resource;
use shared::retry::Delays;
use shared::stream::{self, StreamArgs};
use shared::telemetry::SUBSCRIBER;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::delivery::Delivery;

/// Messages pulled ahead per table. Few, for their `ack_wait` runs while they wait here.
const PULL_AHEAD: usize = 4;
/// A pull request is renewed this often.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
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
    pub(crate) stream_args: StreamArgs,
    pub(crate) ack_wait: Duration,
    pub(crate) deliveries: Sender<Delivery>,
    /// Cancelled when the process is asked to end.
    pub(crate) stop: CancellationToken,
    /// Cancelled when this table cannot be loaded until a person acts.
    pub(crate) halt: CancellationToken,
}

impl Subscriber {
    /// Runs until asked to stop. A stream that ends, a deleted consumer or a silent server never end
    /// it: the consumer is made anew. True if it was stopped in order, false if the table halted.
    pub(crate) async fn run(self) -> bool {
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        while !self.ended() {
            match self.messages().await {
                Ok(messages) => {
                    let delivered = self.pull(messages).await;
                    if delivered {
                        delays.reset();
                    }
                }
                Err(error) => error!(
                    target: SUBSCRIBER,
                    resource = self.resource.name,
                    "Could not set up the consumer {}: {error:#}",
                    self.resource.consumer()
                ),
            }
            if !self.ended() {
                let delay = delays.next_delay().unwrap_or(LONGEST_DELAY);
                self.until_ended(tokio::time::sleep(delay)).await;
            }
        }
        !self.halt.is_cancelled()
    }

    fn ended(&self) -> bool {
        self.stop.is_cancelled() || self.halt.is_cancelled()
    }

    /// None when asked to stop before the future was done.
    async fn until_ended<F: Future>(&self, future: F) -> Option<F::Output> {
        let halted = self.halt.run_until_cancelled(future);
        self.stop.run_until_cancelled(halted).await.flatten()
    }

    /// Stream and consumer are declared at every (re)start: either may have been deleted.
    async fn messages(&self) -> anyhow::Result<Stream> {
        stream::ensure_stream(&self.context, &self.stream_args).await?;
        let consumer: PullConsumer =
            stream::ensure_consumer(&self.context, self.resource, self.ack_wait).await?;
        debug!(target: SUBSCRIBER, "Consuming {}", self.resource.subject());
        Ok(consumer
            .stream()
            .max_messages_per_batch(PULL_AHEAD)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await?)
    }

    /// Hands on messages until the stream must be rebuilt. True if any came.
    async fn pull(&self, mut messages: Stream) -> bool {
        let mut delivered = false;
        let mut missed = 0;
        while let Some(next) = self.until_ended(messages.next()).await {
            match next {
                Some(Ok(message)) => {
                    delivered = true;
                    missed = 0;
                    self.hand_on(message).await;
                }
                Some(Err(error)) if error.kind() == MessagesErrorKind::MissingHeartbeat => {
                    missed += 1;
                    if missed >= MAX_MISSED_HEARTBEATS {
                        warn!(target: SUBSCRIBER, resource = self.resource.name, "No sign of the server, pulling anew");
                        return delivered;
                    }
                }
                Some(Err(error)) => {
                    warn!(target: SUBSCRIBER, resource = self.resource.name, %error, "Rebuilding the consumer");
                    return delivered;
                }
                None => {
                    warn!(target: SUBSCRIBER, resource = self.resource.name, "The message stream ended, rebuilding it");
                    return delivered;
                }
            }
        }
        // What was pulled ahead goes back at once instead of waiting for its `ack_wait`.
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            if let Some(delivery) = self.delivery(message) {
                delivery.release().await;
            }
        }
        delivered
    }

    async fn hand_on(&self, message: async_nats::jetstream::Message) {
        let Some(delivery) = self.delivery(message) else {
            return;
        };
        // The channel closes only after every subscriber has ended; it is bounded, so that nothing is
        // pulled while the writers are busy.
        if let Err(closed) = self.deliveries.send(delivery).await {
            closed.into_inner().release().await;
        }
    }

    fn delivery(&self, message: async_nats::jetstream::Message) -> Option<Delivery> {
        let delivery = Delivery::new(self.resource, message, self.halt.clone());
        if delivery.is_none() {
            error!(target: SUBSCRIBER, resource = self.resource.name, "A message without JetStream's metadata; it stays unacknowledged");
        }
        delivery
    }
}
