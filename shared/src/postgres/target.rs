//! What settings come to: servers, log-in, TLS, and how long to wait.

mod hosts;
mod options;
mod tls;
mod word;

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

pub(super) use self::hosts::Host;
use self::hosts::{SOCKET_FOLDERS, hosts};
use self::options::base;
use self::tls::tls;
use self::word::word;
use super::environment::{self, Environment, Settings};
use super::error::{AddressError, Place};
use super::parameters::Use;

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest that libpq takes.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Where no time is set to be the limit, for nothing waits for ever here.
const NO_TIMEOUT: Duration = Duration::from_mins(10);
/// Which of several servers is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

const WANTED: [(&str, Wanted); 6] = [
    ("any", Wanted::Any),
    ("read-write", Wanted::ReadWrite),
    ("read-only", Wanted::ReadOnly),
    ("primary", Wanted::Primary),
    ("standby", Wanted::Standby),
    ("prefer-standby", Wanted::PreferStandby),
];

impl Wanted {
    pub(super) fn name(self) -> &'static str {
        WANTED.iter().find(|(_, wanted)| *wanted == self).map_or("any", |(name, _)| name)
    }
}

/// The parts of an address, but for the password and the settings.
#[derive(Debug)]
pub struct Endpoint {
    /// A name, an address, or the folder of a socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The database.
    pub name: String,
}

/// Where to connect, and how. Not to be shown: the options hold the password.
pub(super) struct Target {
    pub(super) hosts: Vec<(Host, PgConnectOptions)>,
    pub(super) tls: PgSslMode,
    pub(super) wanted: Wanted,
    pub(super) timeout: Duration,
    database: Option<String>,
    /// What was given and has no effect here.
    pub(super) idle: Vec<Place>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.name()).finish()
    }
}

impl Target {
    /// Reads the address and whatever stands in for what it leaves open.
    pub(super) fn read(
        address: Option<&str>,
        environment: Environment<'_>,
        application: &str,
    ) -> Result<Self, AddressError> {
        let settings = environment::settings(address, environment)?;
        let idle = idle(&settings)?;
        let (tls, root) = tls(&settings)?;
        let hosts = hosts(&settings, tls)?;
        let wanted = word(&settings, "target_session_attrs", &WANTED)?.unwrap_or(Wanted::Any);
        let database = settings.get("dbname").map(|(_, name)| name.to_owned());
        let base = base(&settings, application, tls, root.as_deref())?;
        let hosts = hosts.into_iter().map(|host| {
            let options = base.clone().host(&host.name).port(host.port);
            let password = password(&settings, environment, &host, &options);
            let password = password.as_ref().map_or("", |password| password.expose_secret());
            let options = options.password(password);
            (host, options)
        });
        Ok(Self {
            hosts: hosts.collect(),
            tls,
            wanted,
            timeout: timeout(&settings)?,
            database,
            idle,
        })
    }

    /// Hosts and ports.
    pub(super) fn servers(&self) -> String {
        let names: Vec<String> = self.hosts.iter().map(|(host, _)| host.to_string()).collect();
        names.join(", ")
    }

    /// The first server, the log-in and the database.
    pub(super) fn endpoint(&self) -> Endpoint {
        let (host, port, user, name) = match self.hosts.first() {
            Some((host, options)) => {
                let user = options.get_username().to_owned();
                let name = options.get_database().map_or_else(|| user.clone(), str::to_owned);
                (host.name.clone(), host.port, user, name)
            }
            None => Default::default(),
        };
        Endpoint { host, port, user, name }
    }

    /// Hosts, ports and database.
    pub(super) fn name(&self) -> String {
        let servers = self.servers();
        match &self.database {
            Some(database) => format!("{servers}/{database}"),
            None => servers,
        }
    }
}

/// What has no effect here.
///
/// # Errors
/// When something would have one that cannot be had.
fn idle(settings: &Settings) -> Result<Vec<Place>, AddressError> {
    let mut idle = Vec::new();
    for (parameter, place, value) in settings.iter() {
        match parameter.used {
            Use::Read => {}
            Use::Idle => idle.push(place),
            Use::Only(values, _) if values.contains(&value) => {}
            Use::Only(_, instead) | Use::Never(instead) => {
                return Err(AddressError::Unsupported { place, instead });
            }
        }
    }
    if let Some((place, value)) = settings.get("sslnegotiation") {
        match value {
            "postgres" => {}
            // A saved round trip, which every server does without.
            "direct" => idle.push(place),
            _ => return Err(AddressError::Value { place, allowed: "postgres, direct" }),
        }
    }
    Ok(idle)
}

fn password(
    settings: &Settings,
    environment: Environment<'_>,
    host: &Host,
    options: &PgConnectOptions,
) -> Option<SecretString> {
    if let Some((_, password)) = settings.get("password") {
        return Some(password.into());
    }
    // A socket is in the file by the name of this machine.
    let name = if SOCKET_FOLDERS.contains(&host.name.as_str()) { "localhost" } else { &host.name };
    let port = host.port.to_string();
    let database = options.get_database().unwrap_or_default();
    let fields = [name, &port, database, options.get_username()];
    environment::password(settings, environment, fields)
}

fn timeout(settings: &Settings) -> Result<Duration, AddressError> {
    let Some((place, text)) = settings.get("connect_timeout") else { return Ok(CONNECT_TIMEOUT) };
    let seconds: i64 = text.trim().parse().map_err(|_| AddressError::Value {
        place,
        allowed: "the numbers of seconds (0 for no limit)",
    })?;
    let timeout = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    let timeout = timeout.map_or(NO_TIMEOUT, Duration::from_secs);
    Ok(timeout.clamp(SHORTEST_TIMEOUT, NO_TIMEOUT))
}
