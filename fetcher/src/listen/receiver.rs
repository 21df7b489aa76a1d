//! What is answered: to Toggl, and to whoever watches over this program.
//!
//! Of a delivery nothing is read before its signature is known to be right, and before an event is answered nothing is
//! done but that it is written down. Whoever cannot sign is told nothing but that, and costs a counter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde_json::json;
use shared::telemetry::WEBHOOKS;
use tracing::{debug, info, warn};

use super::bell::{Bell, Rung};
use super::doors::{Door, Doors};
use super::metrics::{Metrics, Outcome};
use super::notes::Notes;
use super::public_url::DELIVERIES;
use super::seldom::Seldom;
use crate::webhooks::{Delivery, Event, SIGNATURE};

/// An entry with the longest description and the request that made it has some kilobytes.
const MAX_BODY: usize = 256 * 1024;
/// How long an event is tried to be written down, before Toggl is asked to deliver it again.
const WRITTEN_WITHIN: Duration = Duration::from_secs(4);
/// What is read and thrown away of a body that is too large.
const MAX_READ: usize = 4 * MAX_BODY;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every request is answered with.
#[derive(Debug, Clone)]
pub(super) struct Receiver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    doors: Arc<Doors>,
    bell: Bell,
    notes: Notes,
    metrics: Metrics,
    refused: Seldom,
    unreadable: Seldom,
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// No workspace of ours, or no subscription.
    Unknown,
    Unsigned,
    Forged,
    TooLarge,
    /// It ended before its body did.
    Broken,
}

impl Receiver {
    pub(super) fn new(doors: Arc<Doors>, (bell, notes): (Bell, Notes), metrics: Metrics) -> Self {
        let (refused, unreadable) = (Seldom::default(), Seldom::default());
        Self(Arc::new(Inner { doors, bell, notes, metrics, refused, unreadable }))
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .fallback(take)
            .layer(middleware::from_fn(guard))
            .with_state(self)
    }
}

/// What goes out is neither kept nor taken for anything else.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn ready(State(Receiver(inner)): State<Receiver>) -> Response {
    match inner.doors.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(words) => (StatusCode::SERVICE_UNAVAILABLE, format!("{words}\n")).into_response(),
    }
}

async fn metrics(State(Receiver(inner)): State<Receiver>) -> Response {
    match inner.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A delivery, if it stands where deliveries come in.
async fn take(State(Receiver(inner)): State<Receiver>, request: Request) -> Response {
    let Some(workspace_id) = workspace_of(request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match inner.signed(workspace_id, request).await {
        Ok((door, body)) => inner.deliver(door, &body).await,
        Err(refusal) => inner.refuse(refusal),
    }
}

/// The workspace whose deliveries come in there, whatever a proxy has left of the path before it.
fn workspace_of(path: &str) -> Option<i64> {
    let mut segments = path.rsplit('/');
    let id = segments.next()?.parse().ok()?;
    (segments.next() == Some(DELIVERIES)).then_some(id)
}

impl Inner {
    /// A body that Toggl has signed, and the door that it has come in by.
    async fn signed(&self, workspace_id: i64, request: Request) -> Result<(&Door, Bytes), Refusal> {
        let (head, body) = request.into_parts();
        let door = self.doors.get(workspace_id).ok_or(Refusal::Unknown)?;
        let signature = head.headers.get(SIGNATURE).ok_or(Refusal::Unsigned)?;
        let body = read(body).await?;
        if !door.verifier.accepts(signature.as_bytes(), &body) {
            return Err(Refusal::Forged);
        }
        Ok((door, body))
    }

    async fn deliver(&self, door: &Door, body: &[u8]) -> Response {
        let workspace_id = door.workspace_id;
        match Delivery::read(body) {
            None => {
                self.metrics.delivered(Outcome::Unreadable);
                if let Some(count) = self.unreadable.count() {
                    warn!(
                        target: WEBHOOKS,
                        "{count} deliveries of workspace {workspace_id} say nothing that this version can read; has \
                         Toggl changed them?"
                    );
                }
                // Sent once more it would say as little.
                StatusCode::OK.into_response()
            }
            Some(
                Delivery::Ping { subscription_id, .. }
                | Delivery::Event(Event { subscription_id, .. }),
            ) if !door.is_of(subscription_id) => self.refuse(Refusal::Unknown),
            Some(Delivery::Ping { code, .. }) => {
                self.metrics.delivered(Outcome::Ping);
                info!(target: WEBHOOKS, "Toggl has tried the address of workspace {workspace_id}");
                match code {
                    Some(code) => {
                        let proof = json!({ "validation_code": code }).to_string();
                        ([(CONTENT_TYPE, "application/json")], proof).into_response()
                    }
                    None => StatusCode::OK.into_response(),
                }
            }
            Some(Delivery::Event(event)) => {
                door.hear();
                self.hear(workspace_id, &event).await
            }
        }
    }

    /// An event counts as taken once the next program that listens would know of it.
    async fn hear(&self, workspace_id: i64, event: &Event) -> Response {
        self.metrics.heard(event);
        debug!(
            target: WEBHOOKS,
            workspace_id, ids = ?event.ids, at = ?event.at,
            "{} {}", event.entity.name(), event.action.name()
        );
        let rung = self.bell.ring(workspace_id, event);
        let written = tokio::time::timeout(WRITTEN_WITHIN, self.notes.write()).await;
        let (status, outcome) = match rung {
            _ if written != Ok(true) => (StatusCode::SERVICE_UNAVAILABLE, Outcome::Unwritten),
            Rung::Once => (StatusCode::OK, Outcome::Taken),
            Rung::Again => (StatusCode::OK, Outcome::Repeated),
        };
        self.metrics.delivered(outcome);
        status.into_response()
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let (status, outcome) = match refusal {
            Refusal::Unknown => (StatusCode::UNAUTHORIZED, Outcome::Unknown),
            Refusal::Unsigned => (StatusCode::UNAUTHORIZED, Outcome::Unsigned),
            Refusal::Forged => (StatusCode::UNAUTHORIZED, Outcome::Forged),
            Refusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Outcome::TooLarge),
            Refusal::Broken => (StatusCode::BAD_REQUEST, Outcome::Broken),
        };
        self.metrics.delivered(outcome);
        if let Some(count) = self.refused.count() {
            warn!(
                target: WEBHOOKS,
                "Refused {count} deliveries that are not Toggl's for this program; the metrics tell why"
            );
        }
        status.into_response()
    }
}

/// The whole body, up to [`MAX_BODY`]. Of a longer one some more is read, so that whoever sends it hears the answer.
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut read = BytesMut::new();
    let mut length: usize = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Broken)?;
        length = length.saturating_add(chunk.len());
        if length > MAX_READ {
            break;
        }
        if length <= MAX_BODY {
            read.extend_from_slice(&chunk);
        }
    }
    if length > MAX_BODY { Err(Refusal::TooLarge) } else { Ok(read.freeze()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_come_in_below_whatever_path_a_proxy_leaves() {
        for (path, workspace_id) in [
            ("/deliveries/7", Some(7)),
            ("/toggl/deliveries/7", Some(7)),
            ("/deliveries/", None),
            ("/deliveries/x", None),
            ("/7", None),
            ("/deliveries/7/8", None),
            ("/", None),
        ] {
            assert_eq!(workspace_of(path), workspace_id, "{path}");
        }
    }
}
