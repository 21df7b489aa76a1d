//! One delivered message and the ways to settle it. Settling consumes the delivery, so that doing
//! it twice does not compile.

use async_nats::HeaderValue;
use async_nats::jetstream::Message;
use async_nats::jetstream::message::AckKind;
use bytes::Bytes;
use jiff::Timestamp;
use shared::batch::{Batch, DecodeError};
use shared::resource::Resource;
use shared::telemetry::SUBSCRIBER;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// A message in the hands of this loader.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The table whose consumer delivered it.
    pub(crate) resource: &'static Resource,
    /// Where the message stands in the stream.
    pub(crate) origin: Origin,
    message: Message,
    halt: CancellationToken,
}

/// Where a message came from, for the ledger and dead letters.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Subject it was published on.
    pub subject: String,
    /// Its sequence in the stream.
    pub stream_sequence: i64,
    /// When JetStream stored it.
    pub published_at: Timestamp,
}

impl Delivery {
    /// None for a message that did not come from a consumer. `halt` is cancelled by [`halt`](Self::halt).
    pub(crate) fn new(
        resource: &'static Resource,
        message: Message,
        halt: CancellationToken,
    ) -> Option<Self> {
        let info = message.info().ok()?;
        let published = info.published.unix_timestamp_nanos();
        let origin = Origin {
            subject: message.subject.to_string(),
            stream_sequence: i64::try_from(info.stream_sequence).ok()?,
            published_at: Timestamp::from_nanosecond(published).ok()?,
        };
        Some(Self { resource, origin, message, halt })
    }

    /// The batch in the message, with the table it belongs to.
    pub(crate) fn decode(&self) -> Result<(&'static Resource, Batch), DecodeError> {
        let batch = Batch::decode(&self.message.payload, self.encoding())?;
        let resource = batch.known_resource()?;
        Ok((resource, batch))
    }

    /// The message's bytes as they came.
    pub(crate) fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// The `Content-Encoding` header.
    pub(crate) fn encoding(&self) -> Option<&str> {
        let headers = self.message.headers.as_ref()?;
        headers.get("Content-Encoding").map(HeaderValue::as_str)
    }

    /// Asks the server for another `ack_wait` before it delivers the message to somebody else.
    pub(crate) async fn keep(&self) {
        log_failure(
            "could not hold on to a message",
            self.message.ack_with(AckKind::Progress).await,
        );
    }

    /// Loaded: waits until the server has noted it.
    pub(crate) async fn ack(self) {
        log_failure("could not acknowledge, it will come again", self.message.double_ack().await);
    }

    /// Never to be delivered again, for a reason that the server's advisory carries.
    pub(crate) async fn terminate(self, reason: &str) {
        let Some(reply) = self.message.reply.clone() else {
            return;
        };
        // `AckKind::Term` takes no reason; the protocol does.
        let payload = format!("+TERM {reason}");
        let client = self.message.context.client();
        log_failure(
            "could not terminate, it will come again",
            client.publish(reply, payload.into()).await.map_err(Into::into),
        );
    }

    /// Not now: the server delivers it again at once, to any loader.
    pub(crate) async fn release(self) {
        log_failure(
            "could not hand back a message",
            self.message.ack_with(AckKind::Nak(None)).await,
        );
    }

    /// Stops the consumption of this table in this process; the message stays unacknowledged.
    pub(crate) fn halt(self) {
        debug!(target: SUBSCRIBER, resource = self.resource.name, "Halted");
        self.halt.cancel();
    }
}

/// An acknowledgement that fails loses nothing: the message comes again and changes nothing.
fn log_failure(what: &str, result: Result<(), async_nats::Error>) {
    if let Err(error) = result {
        warn!(target: SUBSCRIBER, %error, "{what}");
    }
}
