//! Connection to NATS: its settings, and what its events mean.

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{debug, info, warn};

use crate::retry::Delays;
use crate::telemetry::NATS;

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A frozen server is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Bound on every request and every JetStream acknowledgement.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where NATS is and how to log in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "NATS")]
pub struct NatsArgs {
    /// Address of the server, or several with commas between.
    #[arg(
        long,
        env = "NATS_URL",
        default_value = DEFAULT_URL,
        hide_env_values = true,
        global = true
    )]
    pub nats_url: SecretString,
    /// File with NATS credentials (JWT and seed).
    #[arg(long, env = "NATS_CREDS", global = true)]
    pub nats_creds: Option<PathBuf>,
    /// User name.
    #[arg(long, env = "NATS_USER", requires = "nats_password", global = true)]
    pub nats_user: Option<String>,
    /// Password of that user; better given in the environment.
    #[arg(
        long,
        env = "NATS_PASSWORD",
        hide_env_values = true,
        requires = "nats_user",
        global = true
    )]
    pub nats_password: Option<SecretString>,
    /// File with the certificate authority of the server, for TLS.
    #[arg(long, env = "NATS_CA", global = true)]
    pub nats_ca: Option<PathBuf>,
    /// File with a certificate of our own, for servers that ask for one.
    #[arg(long, env = "NATS_CERT", requires = "nats_key", global = true)]
    pub nats_cert: Option<PathBuf>,
    /// File with the key of that certificate.
    #[arg(long, env = "NATS_KEY", requires = "nats_cert", global = true)]
    pub nats_key: Option<PathBuf>,
}

/// The address cannot be read. Its text is left out, for it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("NATS_URL is not an address of NATS (nats://host:4222, several with commas between)")]
pub struct AddressError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credentials file cannot be used.
    #[error("cannot use the NATS credentials file {path} (NATS_CREDS)")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// The server refused the log-in.
    #[error(
        "NATS at {servers} refuses the log-in; check NATS_USER and NATS_PASSWORD, or NATS_CREDS"
    )]
    Refused {
        /// Addresses, without passwords.
        servers: String,
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
        let addresses = self.nats_url.expose_secret().split(',').map(|url| url.trim().parse());
        let addresses = addresses.collect::<Result<Vec<ServerAddr>, _>>();
        Ok(Server { addresses: addresses.map_err(|_| AddressError)?, args: self })
    }
}

/// A NATS server, or a cluster, and how to log in there.
#[derive(Debug)]
pub struct Server<'a> {
    addresses: Vec<ServerAddr>,
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
            .options()
            .await?
            .name(name)
            // Of its own, so that users can be kept from reading each other's answers.
            .custom_inbox_prefix(format!("_INBOX.{name}"))
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .reconnect_delay_callback(delays())
            .event_callback(|event| async move { log_event(&event) });
        options.connect(self.addresses.as_slice()).await.map_err(|source| match source.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                ConnectError::Refused { servers: self.names() }
            }
            _ if is_tls(&source) => ConnectError::Tls { servers: self.names(), source },
            _ => ConnectError::Unreachable { servers: self.names(), source },
        })
    }

    async fn options(&self) -> Result<ConnectOptions, ConnectError> {
        let NatsArgs { nats_creds, nats_user, nats_password, nats_ca, nats_cert, nats_key, .. } =
            self.args;
        let mut options = ConnectOptions::new();
        if let Some(path) = nats_creds {
            options = options
                .credentials_file(path)
                .await
                .map_err(|source| ConnectError::Credentials { path: path.clone(), source })?;
        }
        if let (Some(user), Some(password)) = (nats_user, nats_password) {
            options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
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

/// Whether it was TLS that failed: a server that wants a certificate says so only after the client
/// takes the handshake for done.
fn is_tls(error: &async_nats::ConnectError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if error.is::<rustls::Error>() || inner.is_some() {
            return true;
        }
        cause = error.source();
    }
    error.kind() == ConnectErrorKind::Tls
}

/// The JetStream context of both workers.
pub fn jetstream(client: Client) -> async_nats::jetstream::Context {
    ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT).build(client)
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
