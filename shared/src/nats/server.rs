//! Connecting to NATS, and what its events mean.

use std::fs::File;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tracing::{debug, info, warn};

use super::error::{is_closed, is_tls, is_too_old, is_unlike_nats};
use super::login::Login;
use super::reconnect::delays;
use super::{ConnectError, NatsArgs, REQUEST_TIMEOUT, builder, jetstream};
use crate::telemetry::NATS;

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A frozen server is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Who connects. Answers come to a subject that begins with the program's name, and a user at NATS may hear no
/// other's: so whatever a program does, it connects by one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Every command of it, listening and schedules included.
    Fetcher,
    /// Every command of it.
    Loader,
}

impl Program {
    /// As NATS shows it among its connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fetcher => "toggl-track-fetcher",
            Self::Loader => "toggl-track-loader",
        }
    }
}

/// A NATS server, or a cluster, and how to log in there.
#[derive(Debug)]
pub struct Server<'a> {
    pub(super) addresses: Vec<ServerAddr>,
    /// None for a server that lets everybody in.
    pub(super) login: Option<Login>,
    pub(super) args: &'a NatsArgs,
}

impl Server<'_> {
    /// Connects once; where nobody answers it fails at once rather than waiting. A connection that
    /// breaks later is restored by the client for as long as the process lives.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, program: Program) -> Result<Client, ConnectError> {
        let name = program.name();
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
            _ if is_closed(&source) => ConnectError::Silent { servers: self.names() },
            _ if is_unlike_nats(&source) => ConnectError::Unlike { servers: self.names() },
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

fn log_event(event: &Event) {
    match event {
        Event::Connected => info!(target: NATS, "Connected to NATS"),
        Event::Disconnected => warn!(target: NATS, "Lost the connection to NATS, reconnecting"),
        Event::Closed | Event::Draining => debug!(target: NATS, "NATS: {event}"),
        other => warn!(target: NATS, "NATS: {other}"),
    }
}
