//! One request: its turn, its authentication, its retries.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use clap::Args;
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Response, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use shared::exit::chain;
use shared::retry::Delays;
use shared::telemetry::API;
use tracing::{debug, warn};
use url::Url;

use super::error::{Error, message};
use super::limits::{self, Quota};
use super::pace::Pace;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A whole answer, slow trickles included.
const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);
/// Pause before the only second try after a 5xx or a broken connection.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A 429 that names no wait starts with about two seconds, as other clients found sufficient.
const BURST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_BURST_PAUSE: Duration = Duration::from_secs(10);
/// How often in a row a request waits out a 429.
const MAX_BURSTS: u32 = 5;
/// A longer wait than this is no burst limit; the run ends and names it.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Clocks that differ by more make `fetched_at` of several fetchers incomparable.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Where Toggl is and how fast to ask.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Toggl")]
pub struct TogglArgs {
    /// Address of Toggl's API; /api/v9 is appended.
    #[arg(long, env = "TOGGL_URL", default_value = "https://api.track.toggl.com", global = true)]
    pub toggl_url: Url,
    /// Steady pace of requests; Toggl allows about one a second.
    #[arg(long, env = "TOGGL_REQUESTS_PER_SECOND", default_value_t = 1.0, value_parser = positive, global = true)]
    pub requests_per_second: f64,
    /// Requests that may go out at once before the pace holds.
    #[arg(long, env = "TOGGL_BURST", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000), global = true)]
    pub burst: u32,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.001..=1e6).contains(&number) => Ok(number),
        _ => Err("must be a number between 0.001 and 1000000".to_owned()),
    }
}

/// A good answer.
#[derive(Debug)]
pub struct Answer {
    /// Just before the request that was answered was sent.
    pub fetched_at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
}

/// Toggl for one token. All tasks share it, and with it the pace.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    pace: Pace,
    clock_checked: std::sync::Once,
}

/// Why an answer is no good.
enum Trouble {
    /// May be over in a second: a 5xx, a broken connection.
    Passing(Error),
    /// Too fast; the wait that was asked for, if any.
    Burst(Option<Duration>),
    /// The same again would be answered the same.
    Lasting(Error),
}

impl Client {
    /// # Errors
    /// When the HTTP client cannot be built (no certificate store).
    pub fn new(args: &TogglArgs, token: SecretString) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("toggl-track-fetcher/", env!("CARGO_PKG_VERSION")))
            // The API redirects nobody; whoever does shall not get the token.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .build()?;
        Ok(Self {
            http,
            base: args.toggl_url.clone(),
            token,
            pace: Pace::new(args.requests_per_second, args.burst),
            clock_checked: std::sync::Once::new(),
        })
    }

    /// Asks for `path` (from the root, with the API's prefix). 429 is waited for; 5xx and broken
    /// connections get one more try.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Error> {
        let mut tried_again = false;
        let mut bursts = 0;
        let mut pauses = Delays::forever(BURST_PAUSE, LONGEST_BURST_PAUSE);
        loop {
            self.pace.turn().await;
            let fetched_at = Timestamp::now();
            let trouble = match self.exchange(path, query).await {
                Ok((status, headers, body)) => match judge(path, status, &headers, &body) {
                    None => return Ok(Answer { fetched_at, body }),
                    Some(trouble) => trouble,
                },
                Err(source) => {
                    let source = source.without_url();
                    Trouble::Passing(Error::Transport { path: path.to_owned(), source })
                }
            };
            match trouble {
                Trouble::Passing(error) if !tried_again => {
                    tried_again = true;
                    warn!(target: API, "{}; one more try", chain(&error));
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Trouble::Passing(error) | Trouble::Lasting(error) => return Err(error),
                Trouble::Burst(asked) => {
                    bursts += 1;
                    let wait = asked.or_else(|| pauses.next_delay()).unwrap_or(BURST_PAUSE);
                    if bursts > MAX_BURSTS || wait > LONGEST_WAIT {
                        return Err(Error::Quota { resets_in: Some(wait) });
                    }
                    warn!(target: API, "Too many requests, waiting {:.1} s", wait.as_secs_f64());
                    self.pace.block(wait);
                }
            }
        }
    }

    async fn exchange(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> reqwest::Result<(StatusCode, HeaderMap, Bytes)> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let started = Instant::now();
        let response = self
            .http
            .get(url)
            .query(query)
            .basic_auth(self.token.expose_secret(), Some("api_token"))
            .send()
            .await?;
        self.check_clock(&response);
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let Quota { remaining, resets_in } = limits::quota(&headers);
        debug!(
            target: API,
            status = status.as_u16(),
            bytes = body.len(),
            elapsed_ms = started.elapsed().as_millis(),
            quota_remaining = remaining,
            quota_resets_in_s = resets_in.map(|wait| wait.as_secs()),
            request_id = headers.get("x-toggl-request-id").and_then(|id| id.to_str().ok()),
            "GET {path} {query:?}"
        );
        Ok((status, headers, body))
    }

    fn check_clock(&self, response: &Response) {
        self.clock_checked.call_once(|| {
            let theirs = response.headers().get(DATE).and_then(|date| date.to_str().ok());
            let Some(theirs) = theirs.and_then(|date| httpdate::parse_http_date(date).ok()) else {
                return;
            };
            let ours = SystemTime::now();
            let apart = ours.duration_since(theirs).unwrap_or_else(|error| error.duration());
            if apart > CLOCK_TOLERANCE {
                warn!(
                    target: API,
                    "This machine's clock and Toggl's differ by {} s; synchronise it, for the newest \
                     of two fetches is told by the clock",
                    apart.as_secs()
                );
            }
        });
    }
}

/// None for a good answer.
fn judge(path: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Trouble> {
    if status.is_success() {
        return None;
    }
    let is_me = path.ends_with("/me");
    let path = path.to_owned();
    Some(match status.as_u16() {
        401 => Trouble::Lasting(Error::Credentials { status }),
        // Toggl answers a wrong token with 403.
        403 if is_me => Trouble::Lasting(Error::Credentials { status }),
        402 => Trouble::Lasting(payment_required(path, status, headers, body)),
        403 | 404 | 410 => {
            Trouble::Lasting(Error::Unavailable { path, status, message: message(body) })
        }
        429 => Trouble::Burst(limits::retry_after(headers, SystemTime::now())),
        500.. => Trouble::Passing(Error::Status { path, status, message: message(body) }),
        _ => Trouble::Lasting(Error::Status { path, status, message: message(body) }),
    })
}

/// 402 is the hourly quota or a feature that the plan lacks. The headers decide: Toggl has worded
/// the one as the other. Words count only where the headers are missing.
fn payment_required(path: String, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let Quota { remaining, resets_in } = limits::quota(headers);
    let resets_in_words = limits::reset_in_words(&String::from_utf8_lossy(body));
    match remaining {
        Some(remaining) if remaining > 0 => {
            Error::Unavailable { path, status, message: message(body) }
        }
        None if resets_in.or(resets_in_words).is_none() => {
            Error::Unavailable { path, status, message: message(body) }
        }
        _ => Error::Quota { resets_in: resets_in.or(resets_in_words) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;
    use shared::retry::Disposition;

    fn disposition(status: u16, remaining: Option<&str>, body: &str, path: &str) -> Disposition {
        let mut headers = HeaderMap::new();
        if let Some(remaining) = remaining {
            headers.insert("x-toggl-quota-remaining", HeaderValue::from_str(remaining).unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        match judge(path, status, &headers, body.as_bytes()).unwrap() {
            Trouble::Passing(error) | Trouble::Lasting(error) => error.disposition(),
            Trouble::Burst(_) => panic!("a burst"),
        }
    }

    #[test]
    fn a_402_is_told_apart_by_its_headers_whatever_it_says() {
        let plan = "feature is not included in current subscription level of workspace";
        let quota = "Your quota will reset in 2380 seconds.";
        let tags = "/api/v9/workspaces/1/tags";
        assert_eq!(disposition(402, Some("0"), plan, tags), Disposition::Stop);
        assert_eq!(disposition(402, Some("12"), quota, tags), Disposition::Skip);
        assert_eq!(disposition(402, None, plan, tags), Disposition::Skip);
        assert_eq!(disposition(402, None, quota, tags), Disposition::Stop);
    }

    #[test]
    fn a_403_is_about_the_token_only_on_me() {
        assert_eq!(disposition(403, None, "", "/api/v9/me"), Disposition::Stop);
        assert_eq!(disposition(403, None, "", "/api/v9/me/time_entries"), Disposition::Skip);
        assert_eq!(disposition(403, None, "", "/api/v9/workspaces/1/groups"), Disposition::Skip);
        assert_eq!(disposition(401, None, "", "/api/v9/workspaces/1/groups"), Disposition::Stop);
    }
}
