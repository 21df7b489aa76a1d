//! One delivered message and the ways to settle it. Settling consumes the delivery, so that doing
//! it twice does not compile.

use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::Message;
use async_nats::jetstream::message::AckKind;
use jiff::Timestamp;
use shared::batch::{Batch, DecodeError};
use shared::digest::Digest;
use shared::message;
use shared::resource::Resource;
use shared::telemetry::SUBSCRIBER;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;
use uuid::Uuid;

use crate::apply::dead_letters::whole::Undecodable;
use crate::apply::origin::Origin;

/// A message in the hands of this loader.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// The table whose consumer delivered it.
    pub(crate) resource: &'static Resource,
    /// Where the message stands in the stream.
    pub(crate) origin: Origin,
    /// Whether it had been delivered before.
    pub(crate) redelivered: bool,
    message: Message,
    /// Ends with the delivery.
    _held: Option<AbortOnDropHandle<()>>,
}

/// The batch in a message, with the table it belongs to.
pub(crate) type Decoded = Result<(&'static Resource, Batch), DecodeError>;

impl Delivery {
    /// None for a message that did not come from a consumer.
    pub(crate) fn new(resource: &'static Resource, message: Message) -> Option<Self> {
        let info = message.info().ok()?;
        let published = info.published.unix_timestamp_nanos();
        let origin = Origin {
            subject: message.subject.to_string(),
            stream_sequence: i64::try_from(info.stream_sequence).ok()?,
            published_at: Timestamp::from_nanosecond(published).ok()?,
            promised_age: message.headers.as_ref().and_then(message::promised_age),
        };
        let redelivered = info.delivered > 1;
        Some(Self { resource, origin, redelivered, message, _held: None })
    }

    /// From now on the server is asked for another `ack_wait` again and again, until the message is
    /// settled. Else what waits for its turn, or for Postgres, would be delivered to somebody else
    /// meanwhile, who would wait behind it.
    pub(crate) fn hold(self, ack_wait: Duration) -> Self {
        let message = self.message.clone();
        let holding = async move {
            loop {
                tokio::time::sleep(ack_wait / 3).await;
                let asked = message.ack_with(AckKind::Progress).await;
                log_failure("could not hold on to a message", asked);
            }
        };
        Self { _held: Some(AbortOnDropHandle::new(tokio::spawn(holding))), ..self }
    }

    /// Reads the batch in it.
    pub(crate) fn decode(&self) -> Decoded {
        let batch = Batch::decode(&self.message.payload, self.encoding())?;
        let resource = batch.known_resource()?;
        Ok((resource, batch))
    }

    /// What its headers say of the batch in it, if they say enough to apply it unread.
    pub(crate) fn digest(&self) -> Option<(&'static Resource, Digest)> {
        let digest = message::digest(self.message.headers.as_ref()?, &self.message.payload)?;
        Some((digest.resource()?, digest))
    }

    /// The message as it came, where no batch can be read.
    pub(crate) fn undecodable(&self) -> Undecodable<'_> {
        Undecodable {
            resource: self.resource,
            origin: &self.origin,
            payload: &self.message.payload,
            encoding: self.encoding(),
            run_id: self.run_id(),
        }
    }

    fn encoding(&self) -> Option<&str> {
        message::encoding(self.message.headers.as_ref()?)
    }

    /// The run that sent it, where its message id says so: of a batch that cannot be read nothing else does.
    fn run_id(&self) -> Option<Uuid> {
        let headers = self.message.headers.as_ref()?;
        run_of(headers.get(NATS_MESSAGE_ID)?.as_str())
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
}

/// The run in a [`Batch::message_id`].
fn run_of(message_id: &str) -> Option<Uuid> {
    message_id.split(':').nth(3)?.parse().ok()
}

/// An acknowledgement that fails loses nothing: the message comes again and changes nothing.
fn log_failure(what: &str, result: Result<(), async_nats::Error>) {
    if let Err(error) = result {
        warn!(target: SUBSCRIBER, %error, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use shared::batch::{Coverage, VERSION};

    use super::*;

    #[test]
    fn a_message_id_tells_the_run() {
        let batch = Batch {
            version: VERSION,
            run_id: Uuid::now_v7(),
            resource: "tags".to_owned(),
            workspace_id: 7,
            api_version: "v9".to_owned(),
            fetched_at: Timestamp::UNIX_EPOCH,
            part: 3,
            coverage: Coverage::Partial,
            records: Vec::new(),
            rejected: Vec::new(),
        };
        assert_eq!(run_of(&batch.message_id()), Some(batch.run_id));
        for other in ["", "v1:tags:7", "a:b:c:d:e"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }
}
