//! What a loader serves for those who watch over it: a page for people, metrics for Prometheus, and
//! whether it is alive and ready for whoever restarts it. Nothing can be changed here, and nothing is
//! told that is secret; still it is off the network unless a setting puts it there.

pub(crate) mod healthcheck;
mod minutes;
mod page;
mod plot;
mod prover;
mod server;
pub(crate) mod starting;
pub(crate) mod watch;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use shared::telemetry::HTTP;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub(crate) use self::server::serve;
use self::watch::Watch;
use crate::metrics::Metrics;
use crate::status::age;

/// 9464 is where exporters of OpenTelemetry serve metrics.
const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a question for readiness begins to say how old tables may be.
const MAX_AGE: &str = "max_age=";

/// Where to serve, as it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    Off,
    At(SocketAddr),
}

/// The text is no address.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("neither an IP address with a port (127.0.0.1:9464, [::1]:9464) nor `off`")]
pub(crate) struct HttpError;

impl FromStr for Http {
    type Err = HttpError;

    fn from_str(text: &str) -> Result<Self, HttpError> {
        if ["off", "none", "no", "false"].iter().any(|off| text.eq_ignore_ascii_case(off)) {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| HttpError)
    }
}

/// The address that was set cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the status page at {address}; choose another address by --http, or `off`")]
pub(crate) struct BindError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// None if it is off, or if nothing was set and the usual address is taken, as by another loader.
pub(crate) async fn bind(http: Option<Http>) -> Result<Option<TcpListener>, BindError> {
    let address = match http {
        Some(Http::Off) => return Ok(None),
        Some(Http::At(address)) => address,
        None => DEFAULT,
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) if http.is_some() => Err(BindError { address, source }),
        Err(error) => {
            warn!(
                target: HTTP,
                "No status page and no metrics of this loader: {address} cannot be had ({error}); give \
                 each loader on a machine an address by --http, or `off`"
            );
            Ok(None)
        }
    }
}

/// Tells where it is, for a port that the system chose.
pub(crate) fn announce(listener: &TcpListener) {
    if let Ok(address) = listener.local_addr() {
        info!(target: HTTP, "Status page at http://{address}/, metrics at http://{address}/metrics");
    }
}

#[derive(Debug, Clone)]
struct Views {
    watch: Watch,
    metrics: Metrics,
}

pub(crate) fn router(watch: Watch, metrics: Metrics) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics_text))
        .route(
            "/healthz",
            get(async |State(views): State<Views>| health(&views, views.watch.alive())),
        )
        .route("/readyz", get(ready))
        .layer(middleware::from_fn(guard))
        .with_state(Views { watch, metrics })
}

/// No bodies come in, and what goes out is neither kept nor taken for anything else.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = if axum::body::HttpBody::is_end_stream(request.body()) {
        next.run(request).await
    } else {
        (StatusCode::PAYLOAD_TOO_LARGE, "no request here has a body\n").into_response()
    };
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn page(State(views): State<Views>) -> Response {
    page::response(&views.watch.seen_whole())
}

async fn metrics_text(State(views): State<Views>) -> Response {
    match views.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// `?max_age=2h` asks for fresh tables, too.
async fn ready(State(views): State<Views>, uri: Uri) -> Response {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    let max_age = parameters.find_map(|parameter| parameter.strip_prefix(MAX_AGE));
    let ready = views.watch.ready();
    match max_age.map(age::max_age) {
        None => health(&views, ready),
        Some(Ok(max_age)) => health(&views, ready.and_then(|()| views.watch.fresh(max_age))),
        Some(Err(error)) => (StatusCode::BAD_REQUEST, format!("max_age {error}\n")).into_response(),
    }
}

/// What it comes to, and then whose answer it is.
fn health(views: &Views, result: Result<(), String>) -> Response {
    let pipeline = views.watch.seen().pipeline.lines();
    match result {
        Ok(()) => format!("ok\n{pipeline}").into_response(),
        Err(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n{pipeline}")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_with_a_port_or_off() {
        for text in ["off", "OFF"] {
            assert_eq!(text.parse::<Http>().unwrap(), Http::Off, "{text}");
        }
        for address in ["127.0.0.1:9464", "0.0.0.0:1", "[::1]:9464"] {
            let parsed = address.parse::<Http>().unwrap();
            assert_eq!(parsed, Http::At(address.parse().unwrap()), "{address}");
        }
        for text in ["", "localhost:9464", "127.0.0.1", "9464"] {
            assert!(text.parse::<Http>().is_err(), "{text}");
        }
    }
}
