//! What carries the requests.

use reqwest::redirect;

use crate::toggl::args::{InClear, TogglArgs};

/// Why there is nothing that carries requests.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The token would be readable on the way.
    #[error(transparent)]
    InClear(#[from] InClear),
    /// The TLS of this machine cannot be set up.
    #[error("cannot set up TLS for requests to Toggl; does this machine trust any certificates?")]
    Tls(#[from] reqwest::Error),
}

/// What carries the requests, each within the time that is set. It reads all certificates that the system
/// trusts, hundreds of files.
///
/// # Errors
/// When there are none, or the token would go out in clear.
pub(crate) fn http(args: &TogglArgs) -> Result<reqwest::Client, HttpError> {
    args.check()?;
    let mut builder = reqwest::Client::builder();
    // A proxy would get the token in clear on its way to this very machine.
    if args.toggl_url.scheme() == "http" && !args.toggl_allow_http {
        builder = builder.no_proxy();
    }
    let client = builder
        .user_agent(concat!("toggl-track-fetcher/", env!("CARGO_PKG_VERSION")))
        // The API redirects nobody; whoever does shall not get the token.
        .redirect(redirect::Policy::none())
        // The only one: from connecting to the last byte.
        .timeout(args.toggl_timeout)
        .build()?;
    Ok(client)
}
