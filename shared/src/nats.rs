//! Connection to NATS: its settings, and what its events mean.

mod address;
mod clear;
mod error;
mod login;
mod reconnect;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, Yes};
use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PathBufValueParser, StringValueParser};
use secrecy::{ExposeSecret as _, SecretString};

pub use self::address::AddressError;
pub use self::error::ConnectError;
use self::login::Login;
pub use self::login::LoginError;
pub use self::server::{Program, Server};
use crate::settings::{plain, secret, switch};

/// Bound on every request and every JetStream acknowledgement.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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

/// The JetStream context of a client, of the domain of its server.
pub fn jetstream(client: Client) -> Context {
    builder().build(client)
}

fn builder() -> ContextBuilder<Yes> {
    ContextBuilder::new().timeout(REQUEST_TIMEOUT).ack_timeout(REQUEST_TIMEOUT)
}
