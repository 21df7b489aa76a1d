//! What a loader answers before it can look at anything: that it is alive, and what it waits for.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use shared::telemetry::HTTP;
use tokio::net::TcpListener;
use tracing::info;

use super::guard;
use crate::status::pipeline::Pipeline;

/// What is waited for, in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Option<String>>>);

impl Waiting {
    /// Says why nothing is loaded yet.
    pub(crate) fn tell(&self, words: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.to_owned());
    }

    /// Nothing is in the way any more.
    pub(crate) fn done(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn words(&self) -> String {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.as_ref().map_or_else(|| "starting".to_owned(), |words| format!("starting: {words}"))
    }
}

#[derive(Debug, Clone)]
struct View {
    waiting: Waiting,
    pipeline: Pipeline,
}

/// Tells where it is, for a port that the system chose.
pub(crate) fn announce(listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        info!(target: HTTP, "Starting; http://{address}/readyz says what is waited for");
    }
}

/// In place of the [usual one](super::router) until that can be.
pub(crate) fn router(waiting: Waiting, pipeline: Pipeline) -> Router {
    let view = View { waiting, pipeline };
    let alive = async |State(view): State<View>| format!("ok\n{}", view.pipeline.lines());
    Router::new()
        .route("/healthz", get(alive))
        .fallback(unready)
        .layer(middleware::from_fn(guard))
        .with_state(view)
}

async fn unready(State(view): State<View>) -> Response {
    let said = format!("{}\n{}", view.waiting.words(), view.pipeline.lines());
    (StatusCode::SERVICE_UNAVAILABLE, said).into_response()
}
