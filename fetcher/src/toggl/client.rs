//! One request: its turn, its authentication, its retries.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::redirect;
use secrecy::{ExposeSecret as _, SecretString};
use shared::exit::chain;
use shared::retry::Delays;
use shared::telemetry::API;
use tracing::{debug, warn};
use url::Url;

use super::args::{InClear, TogglArgs};
use super::clock::Clock;
use super::error::Error;
use super::exchange::{Exchange, Question, read_body};
use super::limits::{self, ListedQuota, Quota};
use super::pace::Pace;
use super::payment::Doubts;
use super::quotas::{Bucket, Quotas, Standings};
use super::traffic::{Meter, Traffic, Wait};
use super::trouble::{Trouble, judge};
use super::words::{Redactor, Words};

/// Where Toggl tells what is left of every quota.
pub(crate) const QUOTA_PATH: &str = "/api/v9/me/quota";
/// Pause before the only second try after a 5xx or a broken connection.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A 429 that names no wait starts with about two seconds, as other clients found sufficient.
const BURST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_BURST_PAUSE: Duration = Duration::from_secs(10);
/// How often in a row a request waits out a 429.
const MAX_BURSTS: u32 = 5;
/// A longer wait than this is no burst limit; the run ends and names it, unless it may wait as long as that.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// How often in a row a request waits for a quota: somebody else may use up each new window.
const MAX_RESETS: u32 = 3;
/// An answer of /me/quota is believed for this long.
const QUOTAS_KEPT: Duration = Duration::from_mins(1);

/// A good answer.
#[derive(Debug)]
pub struct Answer {
    /// Just before the request that was answered was sent, by Toggl's clock.
    pub fetched_at: Timestamp,
    /// Whether it had to wait for the reset of an hourly quota.
    pub waited_for_quota: bool,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// Toggl for one token. All tasks share it, and with it the pace.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    redactor: Redactor,
    pace: Pace,
    quotas: Quotas,
    doubts: Doubts,
    meter: Meter,
    clock: Clock,
    /// The longest pause that a 429 may ask for.
    longest_wait: Duration,
    listed_quotas: Mutex<Option<ListedQuotas>>,
}

/// What /me/quota answered last; no body where it refused.
#[derive(Debug, Clone)]
struct ListedQuotas {
    at: Instant,
    body: Option<Bytes>,
}

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

impl Client {
    /// # Errors
    /// Where the TLS of this machine cannot be set up, or the token would go out in clear.
    pub fn new(args: &TogglArgs, token: SecretString) -> Result<Self, HttpError> {
        Ok(Self::over(http(args)?, args, token))
    }

    /// Over connections that other clients use, too.
    pub(crate) fn over(http: reqwest::Client, args: &TogglArgs, token: SecretString) -> Self {
        Self {
            http,
            base: args.toggl_url.clone(),
            redactor: Redactor::new(&token),
            token,
            pace: Pace::new(args.requests_per_second, args.burst),
            quotas: Quotas::new(args.max_wait),
            doubts: Doubts::default(),
            meter: Meter::default(),
            clock: Clock::default(),
            longest_wait: args.max_wait.max(LONGEST_WAIT),
            listed_quotas: Mutex::default(),
        }
    }

    /// Asks for `path` (from the root, with the API's prefix). 429 is waited for, and so is the reset
    /// of a quota within the longest wait; 5xx and broken connections get one more try.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Error> {
        self.ask(Question { path, query, json: None }).await
    }

    /// The same with a JSON body by POST, as reports want it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post(&self, path: &str, json: &serde_json::Value) -> Result<Answer, Error> {
        self.ask(Question { path, query: &[], json: Some(json) }).await
    }

    /// By how much Toggl's clock is ahead of this machine's; nothing where they agree within seconds.
    pub fn clock_ahead(&self) -> SignedDuration {
        self.clock.ahead()
    }

    /// By how much the times of answers may be later than Toggl's own clock showed.
    pub(crate) fn clock_uncertainty(&self) -> SignedDuration {
        self.clock.uncertainty()
    }

    /// The present by Toggl's clock, once an answer has come.
    pub fn now(&self) -> Timestamp {
        self.clock.corrected(Timestamp::now())
    }

    /// Something of an answer, made fit to be shown: short, in one line, without the token.
    pub(crate) fn words(&self, text: &str) -> Words {
        self.redactor.words(text)
    }

    /// That the answer to `path` cannot be read.
    pub(crate) fn misfit(&self, path: &str, body: &[u8], error: &serde_json::Error) -> Error {
        Error::Body { path: path.to_owned(), reason: self.redactor.misfit(body, error) }
    }

    /// What is known of the quotas.
    pub fn standings(&self) -> Standings {
        self.quotas.standings()
    }

    /// Requests of this process that counted in a quota.
    pub fn requests(&self) -> BTreeMap<Bucket, u32> {
        self.quotas.requests()
    }

    /// Every request and wait of this process so far.
    pub fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }

    /// Takes over what an earlier run has learned of quotas and of what the plan lacks.
    pub fn remember(&self, standings: &Standings, doubts: &BTreeMap<String, Timestamp>) {
        self.quotas.remember(standings);
        self.doubts.remember(doubts);
    }

    /// Paths that were refused with 402 for a reason that nobody named, each with the first time.
    pub fn doubts(&self) -> BTreeMap<String, Timestamp> {
        self.doubts.all()
    }

    async fn ask(&self, question: Question<'_>) -> Result<Answer, Error> {
        let path = question.path;
        let bucket = Bucket::of(path);
        let mut tried_again = false;
        let (mut bursts, mut resets) = (0, 0);
        let mut pauses = Delays::forever(BURST_PAUSE, LONGEST_BURST_PAUSE);
        let mut waited_for_quota = false;
        loop {
            let admitted = self.meter.waiting(Wait::Quota, self.quotas.admit(bucket)).await;
            waited_for_quota |= admitted
                .map_err(|used_up| Error::Quota { bucket, resets_at: used_up.resets_at })?;
            self.meter.waiting(Wait::Pace, self.pace.turn()).await;
            let sent = Timestamp::now();
            let trouble = match self.exchange(question).await {
                Ok(exchange) => match judge(path, &exchange, &self.redactor) {
                    None => {
                        self.quotas.note(bucket, limits::quota(&exchange.headers), false);
                        self.doubts.forget(path);
                        let Exchange { headers, body, .. } = exchange;
                        self.clock.note(&headers, sent, Timestamp::now());
                        let fetched_at = self.clock.corrected(sent);
                        return Ok(Answer { fetched_at, waited_for_quota, headers, body });
                    }
                    Some(trouble) => trouble,
                },
                Err(error) => Trouble::Passing(error),
            };
            match self.explain(path, bucket, trouble).await {
                Trouble::Passing(error) if !tried_again => {
                    tried_again = true;
                    warn!(target: API, "{}; one more try", chain(&error));
                    self.meter.waiting(Wait::Retry, tokio::time::sleep(RETRY_PAUSE)).await;
                }
                Trouble::Passing(error) | Trouble::Lasting(error) | Trouble::Doubtful(error) => {
                    return Err(error);
                }
                Trouble::Quota(quota) => {
                    self.quotas.note(bucket, quota, true);
                    resets += 1;
                    if resets > MAX_RESETS {
                        let resets_at = self.standings().get(&bucket).and_then(|s| s.resets_at);
                        return Err(Error::Quota { bucket, resets_at });
                    }
                }
                Trouble::Burst(asked) => {
                    bursts += 1;
                    // Whoever says "at once" and refuses again does not mean it.
                    let pause = pauses.next_delay().unwrap_or(BURST_PAUSE);
                    let wait = asked.filter(|asked| bursts == 1 || *asked > pause).unwrap_or(pause);
                    if bursts > MAX_BURSTS || wait > self.longest_wait {
                        return Err(Error::TooFast { path: path.to_owned(), wait });
                    }
                    warn!(target: API, "Too many requests, waiting {:.1} s", wait.as_secs_f64());
                    self.pace.block(wait);
                }
            }
        }
    }

    /// Finds out what a 402 that named no reason was about: /me/quota knows. Where that fails, it is
    /// taken for the quota once, and for the plan if it persists after the reset.
    async fn explain(&self, path: &str, bucket: Bucket, trouble: Trouble) -> Trouble {
        let Trouble::Doubtful(error) = trouble else { return trouble };
        match self
            .quotas_body()
            .await
            .and_then(|body| limits::standing_in_list(&body, bucket == Bucket::User))
        {
            Some(Quota { remaining: Some(left), .. }) if left != 0 => Trouble::Lasting(error),
            Some(quota) => Trouble::Quota(quota),
            None if self.doubts.persists(path) => Trouble::Lasting(error),
            None => Trouble::Lasting(Error::Quota { bucket, resets_at: None }),
        }
    }

    /// The body of /me/quota; none where it is closed, which is asked once a run.
    async fn quotas_body(&self) -> Option<Bytes> {
        let kept = || self.listed_quotas.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().clone();
        if let Some(known) = known.filter(ListedQuotas::is_fresh) {
            return known.body;
        }
        self.meter.waiting(Wait::Pace, self.pace.turn()).await;
        let asked = self.exchange(Question { path: QUOTA_PATH, query: &[], json: None }).await;
        let body = asked.ok().filter(|answer| answer.status.is_success()).map(|a| a.body);
        *kept() = Some(ListedQuotas { at: Instant::now(), body: body.clone() });
        body
    }

    /// What Toggl says of every quota; none where it does not tell.
    pub(crate) async fn listed_quotas(&self) -> Option<Vec<ListedQuota>> {
        serde_json::from_slice(&self.quotas_body().await?).ok()
    }

    async fn exchange(&self, question: Question<'_>) -> Result<Exchange, Error> {
        let answered = self.send(question).await;
        let (status, bytes) = match &answered {
            Ok(exchange) => (Some(exchange.status.as_u16()), exchange.body.len()),
            Err(_) => (None, 0),
        };
        self.meter.requested(question.method(), question.path, status, bytes);
        answered
    }

    async fn send(&self, question: Question<'_>) -> Result<Exchange, Error> {
        let Question { path, query, json } = question;
        let transport = |source: reqwest::Error| Error::Transport {
            path: path.to_owned(),
            source: source.without_url(),
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let started = Instant::now();
        let request = match json {
            None => self.http.get(url).query(query),
            Some(json) => self.http.post(url).json(json),
        };
        let request = request.basic_auth(self.token.expose_secret(), Some("api_token"));
        let response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, path).await?;
        let Quota { remaining, resets_in } = limits::quota(&headers);
        debug!(
            target: API,
            status = status.as_u16(),
            bytes = body.len(),
            elapsed_ms = started.elapsed().as_millis(),
            quota_remaining = remaining,
            quota_resets_in_s = resets_in.map(|wait| wait.as_secs()),
            request_id = headers.get("x-toggl-request-id").and_then(|id| id.to_str().ok()),
            "{} {path} {query:?}", question.method()
        );
        let host = self.base.host_str().unwrap_or_default().to_owned();
        Ok(Exchange { status, headers, body, host })
    }
}

impl ListedQuotas {
    fn is_fresh(&self) -> bool {
        self.body.is_none() || self.at.elapsed() < QUOTAS_KEPT
    }
}
