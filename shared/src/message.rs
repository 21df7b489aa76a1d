//! A batch as a message of `JetStream`: its headers, by which it is told apart, read, and sometimes known
//! without being read.

use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;

use crate::batch::{Batch, ZSTD};
use crate::digest::Digest;
use crate::resource::Resource;
use crate::stream::STREAM;

/// How the payload is packed; a message without it holds plain `MessagePack`.
const ENCODING: &str = "Content-Encoding";
/// A [`Digest`] of the batch, where it has one.
pub const DIGEST: &str = "Toggl-Digest";
/// How old what is known of the table gets at most before it is read again, in whole seconds; where whoever starts
/// the runs has said so.
pub const PROMISED_AGE: &str = "Toggl-Promised-Age";
/// A longer promise promises nothing.
pub const LONGEST_PROMISE: Duration = Duration::from_hours(366 * 24);

/// The message of a batch that has been [encoded](Batch::encode) to this payload. Of the same batch it has
/// the same id.
pub fn message(
    resource: &Resource,
    batch: &Batch,
    payload: Bytes,
    promised_age: Option<Duration>,
) -> PublishMessage {
    let mut headers = headers(resource, batch, &payload);
    if let Some(age) = promised_age {
        headers.insert(PROMISED_AGE, age.as_secs().to_string());
    }
    PublishMessage::build()
        .headers(headers)
        .payload(payload)
        .message_id(batch.message_id())
        .expected_stream(STREAM)
}

/// Those that say how to read a batch.
pub fn headers(resource: &Resource, batch: &Batch, payload: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ENCODING, ZSTD);
    if let Some(digest) = Digest::of(resource, batch, payload) {
        headers.insert(DIGEST, digest.to_string());
    }
    headers
}

/// How the payload is packed, by the headers that came with it.
pub fn encoding(headers: &HeaderMap) -> Option<&str> {
    headers.get(ENCODING).map(HeaderValue::as_str)
}

/// The digest of the batch, if there is one that can be relied on.
pub fn digest(headers: &HeaderMap, payload: &[u8]) -> Option<Digest> {
    Digest::read(headers.get(DIGEST)?.as_str(), payload)
}

/// What is promised of the batch's table, if anything that can be meant.
pub fn promised_age(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(PROMISED_AGE)?.as_str().parse().ok()?;
    let age = Duration::from_secs(seconds);
    (!age.is_zero() && age <= LONGEST_PROMISE).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_that_cannot_be_meant_is_none() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PROMISED_AGE, text);
            promised_age(&headers)
        };
        assert_eq!(read("300"), Some(Duration::from_mins(5)));
        for text in ["", "0", "-1", "5m", "1e3", "31622401", "18446744073709551616"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(promised_age(&HeaderMap::new()), None);
    }
}
