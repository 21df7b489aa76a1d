//! A batch as a message of `JetStream`: its headers, by which it is told apart, read, and sometimes known
//! without being read.

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

/// The message of a batch that has been [encoded](Batch::encode) to this payload. Of the same batch it has
/// the same id.
pub fn message(resource: &Resource, batch: &Batch, payload: Bytes) -> PublishMessage {
    PublishMessage::build()
        .headers(headers(resource, batch, &payload))
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
