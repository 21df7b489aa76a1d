//! Batches made by hand and published past the fetcher, to deliver what a fetcher would at any
//! moment and in any order.

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;
use jiff::Timestamp;
use shared::batch::{Batch, Record};
use shared::listing::{Listing, Span};
use shared::message::headers;
use shared::resource::{Claim, Resource, Scope};
use uuid::Uuid;

pub(crate) const WORKSPACE: i64 = 2_230_991;
pub(crate) const USER: i64 = 2_166_398;

/// The `second`th second of the tests' own reckoning.
pub(crate) fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

/// The start of every hand-made entry: its id as a moment.
fn start(id: i64) -> Timestamp {
    moment(id * 100)
}

/// A record in the form a fetcher would give it.
pub(crate) fn record(resource: &Resource, id: i64, at: i64, content: &str) -> Record {
    let is_entry = resource.is_time_entry();
    let modified = resource.modified_field.map(|_| moment(at));
    let at = modified.map_or_else(String::new, |at| format!(r#","at":"{at}""#));
    let data = format!(r#"{{"id":{id},"name":{content:?},"workspace_id":{WORKSPACE}{at}}}"#);
    Record {
        source_id: id,
        workspace_id: is_entry.then_some(WORKSPACE),
        modified_at: modified,
        started_at: is_entry.then(|| start(id)),
        user_id: is_entry.then_some(USER),
        deleted_at: None,
        data: Bytes::from(data),
    }
}

/// A whole listing, complete for all that the resource may ever claim.
pub(crate) fn listing(
    resource: &'static Resource,
    fetched_at: i64,
    records: Vec<Record>,
) -> Vec<Batch> {
    let span = match resource.claim {
        Claim::Nothing | Claim::Gone => Span::Partial,
        Claim::Ids => Span::Ids,
        Claim::Starts => Span::Starts { from: start(0), to: start(1_000_000), user_id: Some(USER) },
    };
    cut(resource, fetched_at, span, records)
}

/// A listing with a claim of one's own.
pub(crate) fn cut(
    resource: &'static Resource,
    fetched_at: i64,
    span: Span,
    records: Vec<Record>,
) -> Vec<Batch> {
    let workspace_id = match resource.scope {
        Scope::Account => 0,
        Scope::Workspace => WORKSPACE,
    };
    let fetched_at = moment(fetched_at);
    let listing =
        Listing { resource, workspace_id, fetched_at, span, records, rejected: Vec::new() };
    listing.into_batches(Uuid::now_v7(), 0, 1024 * 1024)
}

/// Publishes batches in this order, with the headers that a fetcher gives them but without message ids,
/// so that nothing is taken for a duplicate before it reaches a loader.
pub(crate) async fn publish(context: &Context, batches: &[Batch]) {
    for batch in batches {
        let (resource, payload) = (batch.known_resource().unwrap(), batch.encode().unwrap());
        let headers = headers(resource, batch, &payload);
        publish_with(context, resource.subject(), headers, payload).await;
    }
}

/// Publishes any bytes, without a digest.
pub(crate) async fn publish_raw(
    context: &Context,
    subject: String,
    encoding: Option<&str>,
    payload: Bytes,
) {
    let mut headers = HeaderMap::new();
    if let Some(encoding) = encoding {
        headers.insert("Content-Encoding", encoding);
    }
    publish_with(context, subject, headers, payload).await;
}

/// Publishes any bytes with any headers.
pub(crate) async fn publish_with(
    context: &Context,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) {
    let sent = context.publish_with_headers(subject, headers, payload).await.unwrap();
    sent.await.unwrap();
}
