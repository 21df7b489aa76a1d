//! Connection to NATS: its settings, and what its events mean.

mod address;
mod clear;
mod login;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, Yes};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PathBufValueParser, StringValueParser};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{debug, info, warn};

pub use self::address::AddressError;
use self::login::Login;
pub use self::login::LoginError;
use crate::exit::chain;
use crate::retry::Delays;
use crate::settings::{plain, secret, switch};
use crate::telemetry::NATS;
use crate::tls::is_of_tls;

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A frozen server is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Bound on every request and every JetStream acknowledgement.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The first that keeps the metadata of consumers, which tells whose a stream is.
const OLDEST_SERVER: (u32, u32) = (2, 10);

/// Where NATS is and how to log in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// Address of the server, or several separated by commas. It may hold a log-in, percent-encoded:
    /// `nats://user:password@host`, `nats://token@host`; settings win over it. `tls://` insists on TLS,
    /// `ws://` and `wss://` use web sockets.
    #[arg(
        long,
        env = "NATS_URL",
        default_value = DEFAULT_URL,
        hide_env_values = true,
        value_parser = plain(secret),
        global = true
    )]
    pub nats_url: SecretString,
    /// File with NATS credentials (JWT and seed), read again at each connection.
    #[arg(long, env = "NATS_CREDS", value_parser = plain(PathBufValueParser::new()), group = "nats_login", global = true)]
    pub nats_creds: Option<PathBuf>,
    /// File with the seed of an nkey, read again at each connection.
    #[arg(long, env = "NATS_NKEY", value_parser = plain(PathBufValueParser::new()), group = "nats_login", global = true)]
    pub nats_nkey: Option<PathBuf>,
    /// Token; better given in the environment.
    #[arg(long, env = "NATS_TOKEN", hide_env_values = true, value_parser = secret, group = "nats_login", global = true)]
    pub nats_token: Option<SecretString>,
    /// User name.
    #[arg(
        long,
        env = "NATS_USER",
        value_parser = plain(StringValueParser::new()),
        requires = "nats_password",
        group = "nats_login",
        global = true
    )]
    pub nats_user: Option<String>,
    /// Password of that user; better given in the environment.
    #[arg(
        long,
        env = "NATS_PASSWORD",
        hide_env_values = true,
        value_parser = secret,
        requires = "nats_user",
        global = true
    )]
    pub nats_password: Option<SecretString>,
    /// File with the certificate authority of the server, for TLS.
    #[arg(long, env = "NATS_CA", value_parser = plain(PathBufValueParser::new()), global = true)]
    pub nats_ca: Option<PathBuf>,
    /// File with our own certificate, for servers that ask for one.
    #[arg(long, env = "NATS_CERT", value_parser = plain(PathBufValueParser::new()), requires = "nats_key", global = true)]
    pub nats_cert: Option<PathBuf>,
    /// File with the key of that certificate.
    #[arg(long, env = "NATS_KEY", value_parser = plain(PathBufValueParser::new()), requires = "nats_cert", global = true)]
    pub nats_key: Option<PathBuf>,
    /// Begin with TLS, for servers with `handshake_first`, which say nothing before it.
    #[arg(long, env = "NATS_TLS_FIRST", value_parser = switch(), global = true)]
    pub nats_tls_first: bool,
    /// JetStream domain of the stream, if it is not the server's own, as behind a leaf node.
    #[arg(long, env = "NATS_DOMAIN", value_name = "DOMAIN", value_parser = plain(NonEmptyStringValueParser::new()), global = true)]
    pub nats_domain: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file of the log-in cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server refused the log-in.
    #[error("NATS at {servers} refuses the log-in {login}")]
    Refused {
        /// Addresses, without passwords.
        servers: String,
        /// What was tried, and the settings to check.
        login: &'static str,
    },
    /// A file of certificates or keys cannot be read.
    #[error("cannot read {path} ({setting})")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// One side does not trust the other.
    #[error("no TLS connection to NATS at {servers}; check NATS_CA, NATS_CERT and NATS_KEY")]
    Tls {
        /// Addresses, without passwords.
        servers: String,
        /// What the client says.
        #[source]
        source: async_nats::ConnectError,
    },
    /// Nothing was said, or nothing that NATS says.
    #[error(
        "no greeting from NATS at {servers}; is it running, and is NATS_URL right? A server that begins \
         with TLS wants NATS_TLS_FIRST=true, one for web sockets an address with ws:// or wss://"
    )]
    Silent {
        /// Addresses, without passwords.
        servers: String,
    },
    /// It lacks what the stream and its consumers are made of.
    #[error("nats-server at {servers} is version {version}; 2.10 or newer is needed")]
    Old {
        /// Addresses, without passwords.
        servers: String,
        /// As it says itself.
        version: String,
    },
    /// Nobody answered.
    #[error("cannot reach NATS at {servers}; is it running, and is NATS_URL right?")]
    Unreachable {
        /// Addresses, without passwords.
        servers: String,
        /// What the client says.
        #[source]
        source: async_nats::ConnectError,
    },
}

impl ConnectError {
    /// Whether it may pass without anybody's doing: the server is not there yet. What is silent wants another
    /// address or setting.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Where a server is unless somebody says otherwise.
const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

impl NatsArgs {
    /// Whether nobody has said where the server is.
    pub fn is_default(&self) -> bool {
        self.nats_url.expose_secret() == DEFAULT_URL
    }

    /// Reads the addresses.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn server(&self) -> Result<Server<'_>, AddressError> {
        let (addresses, login) = address::parse(&self.nats_url)?;
        Ok(Server { addresses, login: self.login().or(login), args: self })
    }

    /// The log-in that is set beside the address.
    fn login(&self) -> Option<Login> {
        let user = self.nats_user.clone().zip(self.nats_password.clone());
        let token = self.nats_token.clone();
        user.map(|(user, password)| Login::Password(user, password))
            .or_else(|| token.map(Login::Token))
            .or_else(|| self.nats_nkey.clone().map(Login::Nkey))
            .or_else(|| self.nats_creds.clone().map(Login::Credentials))
    }
}

/// A NATS server, or a cluster, and how to log in there.
#[derive(Debug)]
pub struct Server<'a> {
    addresses: Vec<ServerAddr>,
    /// None for a server that lets everybody in.
    login: Option<Login>,
    args: &'a NatsArgs,
}

impl Server<'_> {
    /// Connects once; where nobody answers it fails at once rather than waiting. A connection that
    /// breaks later is restored by the client for as long as the process lives.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, name: &str) -> Result<Client, ConnectError> {
        let options = self
            .options()?
            .name(name)
            // Of its own, so that users can be kept from reading each other's answers.
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(delays())
            .event_callback(|event| async move { log_event(&event) });
        let connected = options.connect(self.addresses.as_slice()).await;
        let client = connected.map_err(|source| match source.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                ConnectError::Refused { servers: self.names(), login: self.login_words() }
            }
            ConnectErrorKind::TimedOut => ConnectError::Silent { servers: self.names() },
            _ if is_unlike_nats(&source) => ConnectError::Silent { servers: self.names() },
            _ if is_tls(&source) => ConnectError::Tls { servers: self.names(), source },
            _ => ConnectError::Unreachable { servers: self.names(), source },
        })?;
        let version = client.server_info().version;
        if is_too_old(&version) {
            return Err(ConnectError::Old { servers: self.names(), version });
        }
        Ok(client)
    }

    fn options(&self) -> Result<ConnectOptions, ConnectError> {
        let NatsArgs { nats_ca, nats_cert, nats_key, nats_tls_first, .. } = self.args;
        let mut options = ConnectOptions::new();
        if let Some(login) = &self.login {
            // What is wrong with a file is said now, and in its own words.
            login.answer(b"")?;
            let login = login.clone();
            options = ConnectOptions::with_auth_callback(move |nonce| {
                let answer = login.answer(&nonce);
                async move { Ok(answer?) }
            });
        }
        if *nats_tls_first {
            options = options.tls_first();
        }
        // The client would say of a file that it cannot read neither which nor why.
        for (setting, path) in
            [("NATS_CA", nats_ca), ("NATS_CERT", nats_cert), ("NATS_KEY", nats_key)]
        {
            if let Some(path) = path {
                File::open(path).map_err(|source| ConnectError::File {
                    setting,
                    path: path.clone(),
                    source,
                })?;
            }
        }
        if let Some(ca) = nats_ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let (Some(cert), Some(key)) = (nats_cert, nats_key) {
            options = options.add_client_certificate(cert.clone(), key.clone()).require_tls(true);
        }
        Ok(options)
    }

    fn login_words(&self) -> &'static str {
        match self.login {
            None => {
                "without one: give NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY or NATS_CREDS"
            }
            Some(Login::Password(..)) => {
                "by user and password; check NATS_USER and NATS_PASSWORD, or NATS_URL"
            }
            Some(Login::Token(_)) => "by token; check NATS_TOKEN, or NATS_URL",
            Some(Login::Nkey(_)) => "by nkey; check NATS_NKEY",
            Some(Login::Credentials(_)) => {
                "by credentials; check NATS_CREDS: they may have expired"
            }
        }
    }

    /// The JetStream context of both workers, of the domain that is set.
    pub fn jetstream(&self, client: Client) -> Context {
        match &self.args.nats_domain {
            Some(domain) => builder().domain(domain).build(client),
            None => jetstream(client),
        }
    }

    /// Host and port of each address; never the password that one may carry.
    pub fn names(&self) -> String {
        let names: Vec<_> = self
            .addresses
            .iter()
            .map(|address| format!("{}:{}", address.host(), address.port()))
            .collect();
        names.join(", ")
    }
}

/// Whether a server says that it is older than [`OLDEST_SERVER`]; what is no version is not.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_SERVER,
        _ => false,
    }
}

/// Whether who answers does not begin as a server of NATS does.
fn is_unlike_nats(error: &async_nats::ConnectError) -> bool {
    chain(error).contains("expected INFO")
}

/// Whether it was TLS that failed: a server that wants a certificate says so only after the client
/// takes the handshake for done.
fn is_tls(error: &async_nats::ConnectError) -> bool {
    error.kind() == ConnectErrorKind::Tls || is_of_tls(error)
}

/// The JetStream context of a client, of the domain of its server.
pub fn jetstream(client: Client) -> Context {
    builder().build(client)
}

fn builder() -> ContextBuilder<Yes> {
    ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT)
}

/// None before the very first attempt, which the client would put off like any other.
fn delays() -> impl Fn(usize) -> Duration + Send + Sync + 'static {
    let begun = AtomicBool::new(false);
    move |attempts| {
        if begun.swap(true, Ordering::Relaxed) { reconnect_delay(attempts) } else { Duration::ZERO }
    }
}

/// 50 ms doubling to 8 s, spread by half: the client adds no spread of its own, and loaders that
/// lost the same server should not return in step.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    let delay = Duration::from_millis(50 << doublings).min(Duration::from_secs(8));
    Delays::forever(delay, delay).next_delay().unwrap_or(delay)
}

fn log_event(event: &Event) {
    match event {
        Event::Connected => info!(target: NATS, "Connected to NATS"),
        Event::Disconnected => warn!(target: NATS, "Lost the connection to NATS, reconnecting"),
        Event::Closed | Event::Draining => debug!(target: NATS, "NATS: {event}"),
        other => warn!(target: NATS, "NATS: {other}"),
    }
}
