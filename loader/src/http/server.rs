//! The server: one request a connection, few connections, none of them for long.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use shared::telemetry::HTTP;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// Readers at once; more wait for their turn.
const MAX_CONNECTIONS: usize = 32;
/// From the first byte of a request to the last one of its answer. Answers are ready made.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The line of a request and its headers.
const MAX_REQUEST: usize = 16 * 1024;
/// As when there are no more file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Serves until it is dropped.
pub(crate) async fn serve(listener: Arc<TcpListener>, router: Router) {
    let turns = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
        let socket = match listener.accept().await {
            Ok((socket, _)) => TokioIo::new(socket),
            Err(error) => {
                warn!(target: HTTP, %error, "Could not take a connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut connection = http1::Builder::new();
            connection.keep_alive(false).max_buf_size(MAX_REQUEST);
            let connection = connection.serve_connection(socket, service);
            match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(target: HTTP, %error, "A connection ended early"),
                Err(_) => debug!(target: HTTP, "Closed a slow connection"),
            }
            drop(turn);
        });
    }
}
