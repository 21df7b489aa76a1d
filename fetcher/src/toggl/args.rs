//! The settings of requests.

use std::time::Duration;

use clap::Args;
use url::Url;

use super::address::AddressParser;

/// Where Toggl is and how fast to ask.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Toggl")]
pub struct TogglArgs {
    /// Address of Toggl's API; /api/v9 and /reports/api/v3 are appended.
    #[arg(long, env = "TOGGL_URL", default_value = "https://api.track.toggl.com", hide_env_values = true, value_parser = AddressParser, global = true)]
    pub toggl_url: Url,
    /// Steady pace of requests; Toggl allows about one a second.
    #[arg(long, env = "TOGGL_REQUESTS_PER_SECOND", default_value_t = 1.0, value_parser = positive, global = true)]
    pub requests_per_second: f64,
    /// Requests that may go out at once before the pace holds.
    #[arg(long, env = "TOGGL_BURST", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000), global = true)]
    pub burst: u32,
    /// How long one answer may take as a whole, from connecting to its last byte, whether it is silent or
    /// trickles; then it is asked for once more. No other time-out cuts it: raise it where large lists come
    /// over a slow line.
    #[arg(long, env = "TOGGL_TIMEOUT", default_value = "60s", value_parser = humantime::parse_duration, global = true)]
    pub toggl_timeout: Duration,
    /// Wait for an hourly quota to be full again if that takes no longer; else stop with exit
    /// code 4, everything fetched so far sent. 0s never waits. A pause that a 429 (too many requests) asks
    /// for may be as long, and 5 minutes in any case.
    #[arg(long, env = "TOGGL_MAX_WAIT", default_value = "5m", value_parser = humantime::parse_duration, global = true)]
    pub max_wait: Duration,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.001..=1e6).contains(&number) => Ok(number),
        _ => Err("must be a number between 0.001 and 1000000".to_owned()),
    }
}
