//! One request: its turn, its authentication, its retries.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use shared::exit::chain;
use shared::telemetry::API;
use tracing::warn;
use url::Url;

mod bursts;
mod http;
mod listed_quotas;
mod send;

use self::bursts::Bursts;
pub use self::http::HttpError;
pub(crate) use self::http::http;
use self::listed_quotas::ListedQuotas;
pub(crate) use self::listed_quotas::QUOTA_PATH;
use super::args::TogglArgs;
use super::clock::Clock;
use super::error::Error;
use super::error_class::{ErrorClass, classify};
use super::limit_headers;
use super::pace::Pace;
use super::payment_required::Doubts;
use super::question_and_reply::{MAX_BODY_BYTES, Question, Reply, Verb};
use super::quotas::{Bucket, QuotaStates, Quotas};
use super::request_log::{Meter, RequestLog, Wait};
use super::words::{Redactor, Words};

/// Pause before the only second try after a 5xx or a broken connection.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A longer wait than this is no burst limit; the run ends and names it, unless it may wait as long as that.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// How often in a row a request waits for a quota: somebody else may use up each new window.
const MAX_RESETS: u32 = 3;
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
        let most_bytes = MAX_BODY_BYTES;
        self.ask(Question { verb: Verb::Get, path, query, json: None, most_bytes }).await
    }

    /// The same with a JSON body by POST, as reports want it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn post(&self, path: &str, json: &serde_json::Value) -> Result<Answer, Error> {
        self.post_for(path, json, MAX_BODY_BYTES).await
    }

    /// The same where an answer may have no more bytes than this.
    ///
    /// # Errors
    /// See [`Error`]: a larger answer is [`Error::TooLarge`], and not asked for again.
    pub(crate) async fn post_for(
        &self,
        path: &str,
        json: &serde_json::Value,
        most_bytes: usize,
    ) -> Result<Answer, Error> {
        self.ask(Question { verb: Verb::Post, path, query: &[], json: Some(json), most_bytes })
            .await
    }

    /// The same by PUT, which says what something is to be from now on.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn put(&self, path: &str, json: &serde_json::Value) -> Result<Answer, Error> {
        let most_bytes = MAX_BODY_BYTES;
        self.ask(Question { verb: Verb::Put, path, query: &[], json: Some(json), most_bytes }).await
    }

    /// Removes what stands there; the answer may be empty.
    ///
    /// # Errors
    /// See [`Error`].
    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Error> {
        let most_bytes = MAX_BODY_BYTES;
        self.ask(Question { verb: Verb::Delete, path, query: &[], json: None, most_bytes }).await
    }

    /// What tells this token from another, and gives nothing of it away.
    pub(crate) fn token_fingerprint(&self) -> String {
        fingerprint(&self.token)
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
    pub fn quota_states(&self) -> QuotaStates {
        self.quotas.states()
    }

    /// Requests of this process that counted in a quota.
    pub fn requests(&self) -> BTreeMap<Bucket, u32> {
        self.quotas.requests()
    }

    /// Every request and wait of this process so far.
    pub fn request_log(&self) -> RequestLog {
        self.meter.log()
    }

    /// Takes over what an earlier run has learned of quotas and of what the plan lacks.
    pub fn remember(&self, states: &QuotaStates, doubts: &BTreeMap<String, Timestamp>) {
        self.quotas.remember(states);
        self.doubts.remember(doubts);
    }

    /// Paths that were refused with 402 for a reason that nobody named, each with the first time.
    pub fn doubts(&self) -> BTreeMap<String, Timestamp> {
        self.doubts.all()
    }

    /// None for a good answer.
    fn class(&self, question: Question<'_>, reply: &Reply) -> Option<ErrorClass> {
        let class = || classify(question.path, reply, &self.redactor);
        (!question.is_done_by(reply)).then(class).flatten()
    }

    async fn ask(&self, question: Question<'_>) -> Result<Answer, Error> {
        let path = question.path;
        let bucket = Bucket::of(path);
        let mut tried_again = false;
        let (mut bursts, mut resets) = (Bursts::default(), 0);
        let mut waited_for_quota = false;
        loop {
            let admitted = self.meter.waiting(Wait::Quota, self.quotas.admit(bucket)).await;
            waited_for_quota |= admitted
                .map_err(|used_up| Error::Quota { bucket, resets_at: used_up.resets_at })?;
            self.meter.waiting(Wait::Pace, self.pace.turn()).await;
            let sent = Timestamp::now();
            let class = match self.ask_once(question).await {
                Ok(reply) => match self.class(question, &reply) {
                    None => {
                        self.quotas.note(bucket, limit_headers::quota(&reply.headers), false);
                        self.doubts.forget(path);
                        let Reply { headers, body, .. } = reply;
                        self.clock.note(&headers, sent, Timestamp::now());
                        let fetched_at = self.clock.corrected(sent);
                        return Ok(Answer { fetched_at, waited_for_quota, headers, body });
                    }
                    Some(class) => class,
                },
                Err(error @ Error::TooLarge { .. }) => ErrorClass::Lasting(error),
                Err(error) => ErrorClass::Passing(error),
            };
            match self.explain(path, bucket, class).await {
                ErrorClass::Passing(error) if !tried_again => {
                    tried_again = true;
                    warn!(target: API, "{}; one more try", chain(&error));
                    self.meter.waiting(Wait::Retry, tokio::time::sleep(RETRY_PAUSE)).await;
                }
                ErrorClass::Passing(error)
                | ErrorClass::Lasting(error)
                | ErrorClass::Doubtful(error) => {
                    return Err(error);
                }
                ErrorClass::Quota(quota) => {
                    self.quotas.note(bucket, quota, true);
                    resets += 1;
                    if resets > MAX_RESETS {
                        let resets_at = self.quota_states().get(&bucket).and_then(|s| s.resets_at);
                        return Err(Error::Quota { bucket, resets_at });
                    }
                }
                ErrorClass::Burst(asked) => bursts.wait(self, path, asked)?,
            }
        }
    }
}

/// The first 64 bits of a SHA-256: none of its 128 random bits can be found out from that.
pub(crate) fn fingerprint(token: &SecretString) -> String {
    let token = token.expose_secret().as_bytes();
    let hash = ring::digest::digest(&ring::digest::SHA256, token);
    let first = hash.as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_one_token_and_holds_nothing_of_it() {
        let of = |token: &str| fingerprint(&token.into());
        let one = of("5imulat0r0000000000000000000000t");
        assert_eq!(one, of("5imulat0r0000000000000000000000t"));
        assert_ne!(one, of("5imulat0r0000000000000000000000u"));
        assert!(one.len() == 16 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    }
}
