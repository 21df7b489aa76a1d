//! The server: one request a connection, few connections, none of them for long.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use shared::telemetry::WEBHOOKS;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// At once; more wait for their turn.
const MAX_CONNECTIONS: usize = 64;
/// Until the line of a request and its headers have come.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte of a request to the last one of its answer. In between an event is
/// written down, for which there are four seconds.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The line of a request and its headers.
const MAX_HEADERS: usize = 16 * 1024;
/// As when there are no more file descriptors.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let turns = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(turn) = Arc::clone(&turns).acquire_owned().await {
        let socket = match listener.accept().await {
            Ok((socket, _)) => TokioIo::new(socket),
            Err(error) => {
                warn!(target: WEBHOOKS, %error, "Could not take a connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut connection = http1::Builder::new();
            connection
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_TIMEOUT)
                .keep_alive(false)
                .max_buf_size(MAX_HEADERS);
            let connection = connection.serve_connection(socket, service);
            match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(target: WEBHOOKS, %error, "A connection ended early"),
                Err(_) => debug!(target: WEBHOOKS, "Closed a slow connection"),
            }
            drop(turn);
        });
    }
}
