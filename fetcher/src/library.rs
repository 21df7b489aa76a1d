//! The fetcher for programs: one connection, and runs whose gaps are errors.

use async_nats::jetstream::Context;
use clap::{Args, Command};
use secrecy::{ExposeSecret as _, SecretString};
use shared::exit;
use shared::nats::{AddressError, ConnectError, NatsArgs, Program};
use shared::stream::{self, EnsureStreamError, StreamArgs};
use shared::telemetry::run_span;
use tracing::Instrument as _;

use crate::credentials::{CredentialsError, token};
use crate::orchestrator::{
    ChangeOptions, ReportOptions, ReportResult, SyncOptions, changes_all, report_all, sync_all,
};
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::state::{State, StateError};
use crate::toggl::{self, Client, HttpError, TogglArgs};

/// Where everything is, and how to log in. No environment variable is looked at.
#[derive(Debug, Clone)]
pub struct Settings {
    /// NATS: its address, how to log in, and certificates.
    pub nats: NatsArgs,
    /// The stream, which is brought up to date when connecting.
    pub stream: StreamArgs,
    /// Toggl: its address, the pace of requests, and how long to wait.
    pub toggl: TogglArgs,
    /// The API token of a Toggl profile. It is wiped from memory, and shown by nothing.
    pub api_token: SecretString,
}

impl Settings {
    /// An address of NATS (or several with commas between) and an API token; all else as the fetcher
    /// has it by default.
    pub fn new(nats_url: impl Into<SecretString>, api_token: impl Into<SecretString>) -> Self {
        let nats = NatsArgs { nats_url: nats_url.into(), ..defaults() };
        Self { nats, stream: defaults(), toggl: defaults(), api_token: api_token.into() }
    }
}

/// The defaults of the command line, whatever the environment says.
#[expect(clippy::expect_used, reason = "a test holds the settings to have a default each")]
fn defaults<T: Args>() -> T {
    let command = T::augment_args(Command::new("settings")).no_binary_name(true);
    let command = command.mut_args(|argument| argument.env(None::<&str>));
    let matches = command.try_get_matches_from(None::<&str>).expect("every setting has a default");
    T::from_arg_matches(&matches).expect("every setting has a default")
}

/// Why there is no fetcher.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The address of NATS cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// What was given is no API token.
    #[error(transparent)]
    Token(#[from] CredentialsError),
    /// NATS is out of reach, or refuses the log-in.
    #[error(transparent)]
    Nats(#[from] ConnectError),
    /// JetStream does not take the stream.
    #[error(transparent)]
    Stream(#[from] EnsureStreamError),
    /// JetStream does not take the bucket.
    #[error(transparent)]
    State(#[from] StateError),
    /// The TLS of this machine cannot be set up, or the token would go out in clear.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Why a run is no success. What was sent is stored, and harmless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It ended early.
    #[error(transparent)]
    Ended(#[from] SyncError),
    /// A sync came to its end, and lacks something.
    #[error("the sync is not complete: {}", lacks(.0))]
    IncompleteSync(Box<SyncResult>),
    /// A report came to its end, and lacks something.
    #[error("the report is not complete: {}", lacks(&.0.rest))]
    IncompleteReport(Box<ReportResult>),
}

/// What is missing, and why.
fn lacks(result: &SyncResult) -> String {
    let named = |how: &'static str, resources: &[(&'static str, String)]| {
        let words = |(name, reason): &(&str, String)| format!("{name} {how} ({reason})");
        resources.iter().map(words).collect::<Vec<_>>()
    };
    let mut words = named("failed", &result.failed);
    words.extend(named("was skipped", &result.skipped));
    words.extend(named("is uncertain", &result.uncertain));
    let counted = [
        (result.rejected.len(), "could not be used and became dead letters"),
        (result.unsent.len(), "were too large for NATS and not sent"),
    ];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    words.extend(counted.map(|(count, what)| format!("{count} records {what}")));
    words.join("; ")
}

/// Reads Toggl with one token and publishes to JetStream. Needs a Tokio runtime.
///
/// A sync or report that lacks anything is an error, with what was done inside; both return when the
/// next may begin. Nothing needs to be closed.
#[derive(Debug)]
pub struct Fetcher {
    settings: Settings,
    http: reqwest::Client,
    context: Context,
    max_payload: usize,
    state: State,
}

impl Fetcher {
    /// Connects to NATS and brings the stream and the bucket up to date; Toggl is asked by the runs. A
    /// rustls provider is installed for the process if there is none.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub async fn connect(mut settings: Settings) -> Result<Self, SetupError> {
        exit::ensure_tls_provider();
        settings.api_token = token(settings.api_token.expose_secret(), "Settings::api_token")?;
        let http = toggl::http(&settings.toggl)?;
        let server = settings.nats.server()?;
        let nats = server.connect(Program::Fetcher).await?;
        let max_payload = nats.server_info().max_payload;
        let context = server.jetstream(nats);
        stream::ensure_stream(&context, &settings.stream).await?;
        let state = State::open(&context, &settings.stream).await?;
        Ok(Self { settings, http, context, max_payload, state })
    }

    /// Reads the chosen resources and publishes them, as [`sync_all`].
    ///
    /// # Errors
    /// When it ended early, and when anything is missing.
    pub async fn sync(&self, options: &SyncOptions) -> Result<SyncResult, FetchError> {
        let (client, publisher) = self.run();
        let span = run_span(publisher.run_id(), None);
        let syncing = sync_all(&client, &publisher, &self.state, options).instrument(span);
        let ended = Box::pin(syncing).await;
        self.state.settle().await;
        match ended? {
            result if result.is_complete() => Ok(result),
            result => Err(FetchError::IncompleteSync(Box::new(result))),
        }
    }

    /// Reads what has changed of the token owner's entries and publishes it, as [`changes_all`].
    ///
    /// # Errors
    /// When it ended early, and when anything is missing.
    pub async fn changes(&self, options: &ChangeOptions) -> Result<SyncResult, FetchError> {
        let (client, publisher) = self.run();
        let span = run_span(publisher.run_id(), None);
        let reading = changes_all(&client, &publisher, &self.state, options).instrument(span);
        let ended = Box::pin(reading).await;
        self.state.settle().await;
        match ended? {
            result if result.is_complete() => Ok(result),
            result => Err(FetchError::IncompleteSync(Box::new(result))),
        }
    }

    /// Reads the entries of whole workspaces and publishes them, as [`report_all`].
    ///
    /// # Errors
    /// When it ended early, and when anything is missing.
    pub async fn report(&self, options: &ReportOptions) -> Result<ReportResult, FetchError> {
        let (client, publisher) = self.run();
        let span = run_span(publisher.run_id(), None);
        let reporting = report_all(&client, &publisher, &self.state, options).instrument(span);
        let ended = Box::pin(reporting).await;
        self.state.settle().await;
        match ended? {
            result if result.rest.is_complete() => Ok(result),
            result => Err(FetchError::IncompleteReport(Box::new(result))),
        }
    }

    /// Requests are counted by run, so each has a client of its own.
    fn run(&self) -> (Client, Publisher) {
        let Settings { toggl, api_token, .. } = &self.settings;
        let client = Client::over(self.http.clone(), toggl, api_token.clone());
        (client, Publisher::new(self.context.clone(), self.max_payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_default_and_debug_shows_no_secret() {
        let settings = Settings::new("nats://eva:hunter2@nats.example", "hunter2");
        assert_eq!(settings.toggl.toggl_url.as_str(), "https://api.track.toggl.com/");
        assert_eq!(settings.toggl.burst, 9);
        assert_eq!(settings.stream.replicas, None);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn an_address_that_would_send_the_token_in_clear_is_refused() {
        let mut settings = Settings::new("nats://127.0.0.1:1", "hunter2");
        settings.toggl.toggl_url = "http://toggl.example".parse().unwrap();
        let error = Fetcher::connect(settings).await.unwrap_err();
        assert!(matches!(error, SetupError::Http(HttpError::InClear(_))), "{error}");
    }

    #[test]
    fn what_a_run_lacks_is_told_in_one_line() {
        let result = SyncResult {
            failed: vec![("tags", "HTTP 500".to_owned())],
            skipped: vec![("groups", "not in this plan".to_owned())],
            unsent: vec![("projects", 1)],
            ..SyncResult::default()
        };
        assert_eq!(
            FetchError::IncompleteSync(Box::new(result)).to_string(),
            "the sync is not complete: tags failed (HTTP 500); groups was skipped (not in this plan); \
             1 records were too large for NATS and not sent"
        );
    }
}
