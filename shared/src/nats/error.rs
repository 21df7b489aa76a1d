//! Why there is no connection to NATS.

use std::path::PathBuf;

use async_nats::ConnectErrorKind;

use super::LoginError;
use crate::error_chain::chain;
use crate::tls::is_of_tls;

/// The first that keeps the metadata of consumers, which tells whose a stream is.
const OLDEST_SERVER: (u32, u32) = (2, 10);

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
    /// Something is there, and said nothing.
    #[error(
        "no greeting from NATS at {servers}; is it running, and is NATS_URL right? A server that begins \
         with TLS wants NATS_TLS_FIRST=true, one for web sockets an address with ws:// or wss://"
    )]
    Silent {
        /// Addresses, without passwords.
        servers: String,
    },
    /// What was said is not what NATS says.
    #[error("what answers at {servers} is not NATS; check NATS_URL")]
    Unlike {
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
    /// Whether it may pass without anybody's doing: the server is not there yet. One that is silent may
    /// be a proxy's before it.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Silent { .. })
    }
}

/// Whether a server says that it is older than [`OLDEST_SERVER`]; what is no version is not.
pub(super) fn is_too_old(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST_SERVER,
        _ => false,
    }
}

/// Whether who answers does not begin as a server of NATS does.
pub(super) fn is_unlike_nats(error: &async_nats::ConnectError) -> bool {
    let words = chain(error);
    words.contains("expected INFO") || words.contains("invalid server operation")
}

/// Whether the line was closed before anything was said.
pub(super) fn is_closed(error: &async_nats::ConnectError) -> bool {
    chain(error).contains("expected INFO, got nothing")
}

/// Whether it was TLS that failed: a server that wants a certificate says so only after the client
/// takes the handshake for done.
pub(super) fn is_tls(error: &async_nats::ConnectError) -> bool {
    error.kind() == ConnectErrorKind::Tls || is_of_tls(error)
}
