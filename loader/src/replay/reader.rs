//! Reading the stream from somewhere to the end that it had at the beginning.
//!
//! Nothing is acknowledged: a replay that dies is simply run again. What the connection loses on the
//! way is noticed by the consumer's own count of deliveries, and read again by a new consumer.

use std::time::Duration;

use async_channel::Sender;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{State, Stream};
use async_nats::jetstream::{Context, Message};
use futures::StreamExt as _;
use jiff::Timestamp;
use shared::retry::Delays;
use shared::shutdown::GRACE;
use shared::stream::STREAM;
use shared::telemetry::REPLAY;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use super::error::ReadError;
use super::selection::Selection;
use crate::consume::delivery::Delivery;

/// Messages asked for at once, which bounds memory together with the channel behind.
const PULL: usize = 32;
/// Silence of this length means that the server has forgotten the request.
const SILENCE: Duration = Duration::from_secs(10);
/// What a replay that was killed leaves behind goes by itself after this.
const INACTIVE: Duration = Duration::from_hours(1);

/// Waits between attempts, and how long they go on without a single message.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_mins(5);

/// Reads what is selected once, each message in its turn.
pub(super) struct Reader {
    stream: Stream,
    selection: Selection,
    consumer: PullConsumer,
    /// What the consumer has delivered, by its own count.
    delivered: u64,
    /// Messages that were selected when it began.
    total: u64,
    /// Messages read so far.
    read: u64,
    /// Where the stream began when the replay did.
    beginning: Beginning,
    /// Sequence of the first message read.
    first: Option<u64>,
    /// Sequence of the last message read; 0 before the first.
    last: u64,
    /// Sequence of the last message that may be read: the stream's last one when it began.
    end: u64,
}

/// The oldest that a stream holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beginning {
    /// Of the first message; of the next one, where the stream is empty.
    pub(super) sequence: u64,
    /// None where it is empty.
    pub(super) published_at: Option<Timestamp>,
}

impl Beginning {
    fn of(state: &State) -> Self {
        let nanos = state.first_timestamp.unix_timestamp_nanos();
        let published_at = Timestamp::from_nanosecond(nanos).ok().filter(|_| state.messages > 0);
        Self { sequence: state.first_sequence, published_at }
    }
}

/// What a request for messages has led to.
enum Pulled {
    /// Everything that was there for now.
    Some,
    /// The server says that there is nothing.
    Nothing,
    /// A message behind the end, which is none of the replay's.
    Behind,
    /// Nobody takes them any more.
    Unwanted,
}

impl Reader {
    /// Makes the consumer and looks how far the stream goes.
    pub(super) async fn open(context: &Context, selection: Selection) -> Result<Self, ReadError> {
        let stream = context.get_stream(STREAM).await?;
        let consumer = consumer(&stream, &selection, 0).await.map_err(ReadError::Lost)?;
        let total = consumer.cached_info().num_pending;
        // Looked at after the count, so that the count is of nothing behind the end.
        let state = stream.get_info().await.map(|info| info.state);
        match state {
            Ok(state) => {
                let (beginning, end) = (Beginning::of(&state), state.last_sequence);
                let (first, last) = (None, 0);
                Ok(Self {
                    stream,
                    selection,
                    consumer,
                    delivered: 0,
                    total,
                    read: 0,
                    beginning,
                    first,
                    last,
                    end,
                })
            }
            Err(error) => {
                delete(&stream, &consumer).await;
                Err(ReadError::Lost(error.into()))
            }
        }
    }

    /// Where the stream began when the replay did.
    pub(super) const fn beginning(&self) -> Beginning {
        self.beginning
    }

    /// Sequence of the first message read.
    pub(super) const fn first(&self) -> Option<u64> {
        self.first
    }

    /// Messages that were selected when it began.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Messages handed on.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// Messages that were selected and are no longer in the stream, once the end is reached.
    pub(super) const fn missing(&self) -> u64 {
        self.total.saturating_sub(self.read)
    }

    /// Hands on messages until the end is reached, which is true, or until `stop`. Trouble with NATS is
    /// waited out; the next message is always the one behind the last.
    pub(super) async fn run(
        &mut self,
        to: &Sender<Delivery>,
        stop: &CancellationToken,
    ) -> Result<bool, ReadError> {
        let mut delays = Delays::within(FIRST_DELAY, LONGEST_DELAY, PATIENCE);
        while self.total > 0 && self.last < self.end {
            let before = self.last;
            let Some(pulled) = stop.run_until_cancelled(self.pull(to)).await else {
                return Ok(false);
            };
            if self.last > before {
                delays.reset();
            }
            let error = match pulled {
                Ok(Pulled::Some) => continue,
                Ok(Pulled::Behind) => break,
                Ok(Pulled::Unwanted) => return Ok(false),
                Ok(Pulled::Nothing) => match self.is_exhausted().await {
                    Ok(true) => break,
                    Ok(false) => "the server holds back messages".into(),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            let Some(delay) = delays.next_delay() else { return Err(ReadError::Lost(error)) };
            warn!(target: REPLAY, "Trouble with NATS, reading on in {:.1} s: {error}", delay.as_secs_f64());
            if stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
                return Ok(false);
            }
            if let Err(error) = self.renew().await {
                debug!(target: REPLAY, %error, "Could not make a consumer");
            }
        }
        Ok(true)
    }

    async fn pull(&mut self, to: &Sender<Delivery>) -> Result<Pulled, async_nats::Error> {
        let mut messages = self.consumer.fetch().max_messages(PULL).messages().await?;
        let mut pulled = Pulled::Nothing;
        loop {
            let next = tokio::time::timeout(SILENCE, messages.next()).await;
            let Some(message) = next.map_err(|_| "no answer in time")?.transpose()? else {
                return Ok(pulled);
            };
            let Some(delivery) = self.accept(message)? else { return Ok(Pulled::Behind) };
            let sequence = delivery.origin.stream_sequence.unsigned_abs();
            if to.send(delivery).await.is_err() {
                return Ok(Pulled::Unwanted);
            }
            self.first.get_or_insert(sequence);
            (self.last, self.read) = (sequence, self.read + 1);
            pulled = Pulled::Some;
            if self.last >= self.end {
                return Ok(Pulled::Some);
            }
        }
    }

    /// The message as a delivery, if it is the next one; none behind the end.
    fn accept(&mut self, message: Message) -> Result<Option<Delivery>, async_nats::Error> {
        let info = message.info()?;
        if info.consumer_sequence != self.delivered + 1 {
            return Err("a message was lost on the way".into());
        }
        if info.stream_sequence > self.end {
            return Ok(None);
        }
        let resource = self.selection.resource(&message.subject).ok_or("an unknown subject")?;
        let delivery = Delivery::new(resource, message);
        let delivery = delivery.ok_or("a message without JetStream's metadata")?;
        self.delivered += 1;
        Ok(Some(delivery))
    }

    /// Whether the rest of what was selected has left the stream.
    async fn is_exhausted(&self) -> Result<bool, async_nats::Error> {
        let info = self.stream.consumer_info(&self.consumer.cached_info().name).await?;
        Ok(info.num_pending == 0 && info.delivered.consumer_sequence == self.delivered)
    }

    /// Goes on with another consumer behind the last message.
    async fn renew(&mut self) -> Result<(), async_nats::Error> {
        let old = self.consumer.cached_info().name.clone();
        self.consumer = consumer(&self.stream, &self.selection, self.last).await?;
        self.delivered = 0;
        if let Err(error) = self.stream.delete_consumer(&old).await {
            debug!(target: REPLAY, %error, "Could not delete the old consumer");
        }
        Ok(())
    }

    /// Deletes the consumer.
    pub(super) async fn close(self) {
        delete(&self.stream, &self.consumer).await;
    }
}

async fn delete(stream: &Stream, consumer: &PullConsumer) {
    let name = &consumer.cached_info().name;
    match tokio::time::timeout(GRACE / 4, stream.delete_consumer(name)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => leftover(name, &error),
        Err(timeout) => leftover(name, &timeout),
    }
}

fn leftover(name: &str, error: &dyn std::error::Error) {
    error!(target: REPLAY, "Could not delete consumer {name}, it goes by itself in an hour: {error}");
}

async fn consumer(
    stream: &Stream,
    selection: &Selection,
    last: u64,
) -> Result<PullConsumer, async_nats::Error> {
    let config = pull::Config {
        name: Some(format!("replay_{}", Uuid::now_v7().simple())),
        description: Some("replays batches; goes when that is done".to_owned()),
        filter_subjects: selection.subjects(),
        deliver_policy: selection.deliver_policy(last),
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}
