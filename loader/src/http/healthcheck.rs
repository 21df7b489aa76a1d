//! `loader healthcheck`: for containers, which have no shell to ask with.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::body::{Body, to_bytes};
use axum::http::header::HOST;
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{DEFAULT, Http};
use crate::stdout::print;

/// Less than whoever asks usually waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A reason is a line.
const MAX_REASON: usize = 64 * 1024;

/// Asks the loader on this machine whether it is ready.
///
/// # Errors
/// With the reason when it is not, or when there is none.
pub(crate) async fn healthcheck(http: Option<Http>) -> anyhow::Result<()> {
    let address = match http {
        Some(Http::Off) => bail!("the loader serves no /readyz to ask: LOADER_HTTP is off"),
        Some(Http::At(address)) => reachable(address),
        None => DEFAULT,
    };
    let (status, reason) = tokio::time::timeout(TIMEOUT, ask(address))
        .await
        .with_context(|| format!("the loader at {address} does not answer in time"))?
        .with_context(|| {
            format!("no loader answers at {address}; is it running, is --http right?")
        })?;
    ensure!(status == StatusCode::OK, "the loader is not ready: {}", reason.trim());
    print(reason)?;
    Ok(())
}

/// Who listens everywhere is asked by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn ask(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let socket = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(socket).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Body::empty())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let reason = to_bytes(Body::new(response.into_body()), MAX_REASON).await?;
    connection.abort();
    Ok((status, String::from_utf8_lossy(&reason).into_owned()))
}
