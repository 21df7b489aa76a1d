//! `loader healthcheck`: for containers, which have no shell to ask with.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::body::{Body, to_bytes};
use axum::http::header::HOST;
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use shared::output::report;
use tokio::net::TcpStream;

use super::{DEFAULT, Http, MAX_AGE};
use crate::status::pipeline::Told;

/// Less than whoever asks usually waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A reason, and whose it is.
const MAX_REASON: usize = 64 * 1024;

/// What the loader that answers is held against. What is not set here is not compared.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Host, port and name of the database.
    pub(crate) database: Option<String>,
    /// Host and port of each NATS server.
    pub(crate) nats: Option<String>,
    /// How old tables may be.
    pub(crate) max_age: Option<Duration>,
}

/// Asks the loader on this machine whether it is ready, and says which one it is.
///
/// # Errors
/// With the reason when it is not, when it is another pipeline's, or when there is none.
pub(crate) async fn healthcheck(http: Option<Http>, expected: &Expected) -> anyhow::Result<()> {
    let address = match http {
        Some(Http::Off) => bail!("the loader serves no /readyz to ask: LOADER_HTTP is off"),
        Some(Http::At(address)) => reachable(address),
        None => DEFAULT,
    };
    let (status, said) = tokio::time::timeout(TIMEOUT, ask(address, expected.max_age))
        .await
        .with_context(|| format!("the loader at {address} does not answer in time"))?
        .with_context(|| {
            format!("no loader answers at {address}; is it running, is --http right?")
        })?;
    let told = Told::in_lines(&said);
    let differs =
        told.and_then(|told| told.differs(expected.database.as_deref(), expected.nats.as_deref()));
    if let Some(differs) = differs {
        bail!("the loader at {address} is another pipeline's: it {differs}; is --http right?");
    }
    // Those of the first releases would answer as if they had not been asked.
    ensure!(
        told.is_some() || expected.max_age.is_none(),
        "the loader at {address} knows no --max-age: it is older than this program"
    );
    let reason = said.lines().next().unwrap_or_default();
    ensure!(status == StatusCode::OK, "the loader is not ready: {reason}");
    report(said);
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

async fn ask(
    address: SocketAddr,
    max_age: Option<Duration>,
) -> anyhow::Result<(StatusCode, String)> {
    let socket = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(socket).await?;
    let connection = tokio::spawn(connection);
    let max_age = max_age.map(|age| format!("?{MAX_AGE}{}s", age.as_secs()));
    let path = format!("/readyz{}", max_age.unwrap_or_default());
    let request = Request::get(path).header(HOST, address.to_string()).body(Body::empty())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let reason = to_bytes(Body::new(response.into_body()), MAX_REASON).await?;
    connection.abort();
    Ok((status, String::from_utf8_lossy(&reason).into_owned()))
}
