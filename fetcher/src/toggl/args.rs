//! The settings of requests.

use std::time::Duration;

use clap::Args;
use shared::eavesdropping::is_loopback;
use shared::settings::{plain, switch, time};
use url::Url;

use super::address::AddressParser;

/// Where Toggl is and how fast to ask.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Toggl")]
pub struct TogglArgs {
    /// Address of Toggl's API; /api/v9 and /reports/api/v3 are appended.
    #[arg(long, env = "TOGGL_URL", default_value = "https://api.track.toggl.com", hide_env_values = true, value_parser = plain(AddressParser), global = true)]
    pub toggl_url: Url,
    /// Send the API token unencrypted if --toggl-url is `http://` to another machine; everybody on the way
    /// can read it then. To this machine (localhost) it is sent anyway.
    #[arg(long, env = "TOGGL_ALLOW_HTTP", value_parser = switch(), global = true)]
    pub toggl_allow_http: bool,
    /// Steady pace of requests; Toggl allows about one a second.
    #[arg(long, env = "TOGGL_REQUESTS_PER_SECOND", default_value_t = 1.0, value_parser = plain(positive), global = true)]
    pub requests_per_second: f64,
    /// Requests that may go out at once before the pace holds; a usual sync of one workspace takes nine.
    #[arg(long, env = "TOGGL_BURST", default_value_t = 9, value_parser = plain(clap::value_parser!(u32).range(1..=1_000)), global = true)]
    pub burst: u32,
    /// How long one answer may take as a whole, from connecting to its last byte; then it is asked for once
    /// more. No other time-out applies, so raise it if large lists come over a slow line.
    #[arg(long, env = "TOGGL_TIMEOUT", default_value = "60s", value_parser = plain(time), global = true)]
    pub toggl_timeout: Duration,
    /// Longest wait for the reset of an hourly quota. If it takes longer, stop with exit code 4; everything
    /// fetched so far is sent. 0s never waits. A pause that a 429 (too many requests) asks for may be as
    /// long, and 5 minutes in any case.
    #[arg(long, env = "TOGGL_MAX_WAIT", default_value = "5m", value_parser = plain(time), global = true)]
    pub max_wait: Duration,
}

/// The API token would be readable for everybody on the way to Toggl. The address is left out: what it
/// holds is not known to be no secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "TOGGL_URL (--toggl-url) is http:// to another machine, which would send your API token in clear: \
     write https://, or set TOGGL_ALLOW_HTTP=true (--toggl-allow-http) if you want that"
)]
pub struct InClear;

impl TogglArgs {
    /// Looks that the token goes out encrypted, or stays on this machine.
    ///
    /// # Errors
    /// When neither holds, and nobody has allowed that.
    pub fn check(&self) -> Result<(), InClear> {
        let is_safe = self.toggl_url.scheme() == "https" || self.stays_here();
        if is_safe || self.toggl_allow_http { Ok(()) } else { Err(InClear) }
    }

    /// Whether Toggl is on this machine, as a simulated one is.
    pub(super) fn stays_here(&self) -> bool {
        self.toggl_url.host().is_some_and(|host| is_loopback(&host))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.001..=1e6).contains(&number) => Ok(number),
        _ => Err("must be a number between 0.001 and 1000000".to_owned()),
    }
}
