//! Messages out of the stream, one by one, without a consumer.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;
use shared::batch::{Batch, DecodeError};
use shared::message;
use shared::nats::{Program, Server};
use shared::stream::STREAM;

use super::error::StreamError;

/// The stream, to be read at any place.
pub(super) struct Messages {
    stream: Stream,
}

/// A message as the stream holds it.
pub(super) struct Message {
    pub(super) sequence: u64,
    pub(super) subject: String,
    pub(super) published_at: Option<Timestamp>,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

impl Messages {
    /// # Errors
    /// When NATS is out of reach, in words, or the stream is not there.
    pub(super) async fn open(server: &Server<'_>) -> Result<Self, anyhow::Error> {
        let client = server.connect(Program::Loader).await?;
        let stream =
            server.jetstream(client).get_stream(STREAM).await.map_err(StreamError::from)?;
        Ok(Self { stream })
    }

    /// None where the stream holds no message of that sequence.
    pub(super) async fn read(&self, sequence: u64) -> Result<Option<Message>, StreamError> {
        match self.stream.direct_get(sequence).await {
            Ok(message) => Ok(Some(Message::from(message))),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(source) => Err(StreamError::Read { sequence, source }),
        }
    }

    /// The first and the last sequence when it was opened.
    pub(super) fn ends(&self) -> (u64, u64) {
        let state = &self.stream.cached_info().state;
        (state.first_sequence, state.last_sequence)
    }
}

impl Message {
    /// The batch in it.
    pub(super) fn decode(&self) -> Result<Batch, DecodeError> {
        let batch = Batch::decode(&self.payload, self.encoding())?;
        batch.known_resource()?;
        Ok(batch)
    }

    pub(super) fn encoding(&self) -> Option<&str> {
        message::encoding(&self.headers)
    }

    pub(super) fn message_id(&self) -> Option<&str> {
        self.headers.get(NATS_MESSAGE_ID).map(HeaderValue::as_str)
    }
}

impl From<StreamMessage> for Message {
    fn from(message: StreamMessage) -> Self {
        let StreamMessage { subject, sequence, headers, payload, time } = message;
        let published_at = Timestamp::from_nanosecond(time.unix_timestamp_nanos()).ok();
        Self { sequence, subject: subject.to_string(), published_at, headers, payload }
    }
}
