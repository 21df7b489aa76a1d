//! What settings come to: servers, log-in, TLS, and how long to wait.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::environment::{self, Environment, Settings};
use super::error::{AddressError, Place};
use super::parameters::Use;

/// Longer than a slow network, shorter than a person's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest that libpq takes.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Where no time is set to be the limit, for nothing waits for ever here.
const NO_TIMEOUT: Duration = Duration::from_mins(10);
const PORT: u16 = 5432;
/// Where a server on this machine has its socket.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/private/tmp", "/tmp"];

const TLS_MODES: [(&str, PgSslMode); 6] = [
    ("disable", PgSslMode::Disable),
    ("allow", PgSslMode::Allow),
    ("prefer", PgSslMode::Prefer),
    ("require", PgSslMode::Require),
    ("verify-ca", PgSslMode::VerifyCa),
    ("verify-full", PgSslMode::VerifyFull),
];

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

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// A name, an address, or the folder of a socket.
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
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

/// The meaning of a word out of a list.
fn word<T: Copy>(
    settings: &Settings,
    name: &str,
    words: &'static [(&'static str, T)],
) -> Result<Option<T>, AddressError> {
    let Some((place, value)) = settings.get(name) else { return Ok(None) };
    match words.iter().find(|(word, _)| *word == value) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => Err(AddressError::Value { place, allowed: allowed(name) }),
    }
}

fn allowed(name: &str) -> &'static str {
    match name {
        "sslmode" => "disable, allow, prefer, require, verify-ca, verify-full",
        "channel_binding" => "disable, prefer, require",
        _ => "any, read-write, read-only, primary, standby, prefer-standby",
    }
}

/// The mode, and the file of roots where it is not the system's.
fn tls(settings: &Settings) -> Result<(PgSslMode, Option<PathBuf>), AddressError> {
    const BINDINGS: [(&str, bool); 3] = [("disable", false), ("prefer", false), ("require", true)];
    let mode = word(settings, "sslmode", &TLS_MODES)?;
    let root = settings.get("sslrootcert");
    let is_system = root.is_some_and(|(_, root)| root == "system");
    let mut tls = match mode {
        Some(mode) if is_system && !matches!(mode, PgSslMode::VerifyFull) => {
            return Err(AddressError::Together(
                "sslrootcert=system goes with sslmode=verify-full alone: set that, or leave sslmode out",
            ));
        }
        Some(mode) => mode,
        None if is_system => PgSslMode::VerifyFull,
        None => PgSslMode::Prefer,
    };
    if settings.get("sslnegotiation").is_some_and(|(_, value)| value == "direct")
        && matches!(tls, PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer)
    {
        return Err(AddressError::Together(
            "sslnegotiation=direct goes with sslmode=require or stronger: set that, or take it out",
        ));
    }
    let file = root.filter(|_| !is_system);
    // With roots at hand libpq verifies that much.
    if matches!(tls, PgSslMode::Require) && file.is_some() {
        tls = PgSslMode::VerifyCa;
    }
    // Instead of binding the log-in to the channel, whoever is at its other end is verified.
    if word(settings, "channel_binding", &BINDINGS)?.unwrap_or(false) {
        if matches!(tls, PgSslMode::Disable) {
            return Err(AddressError::Together(
                "channel_binding=require goes with TLS: set sslmode=verify-full, or take it out",
            ));
        }
        tls = PgSslMode::VerifyFull;
    }
    Ok((tls, file.map(|(place, path)| readable(place, path)).transpose()?))
}

/// sqlx would say of a file that it cannot read neither which nor why.
fn readable(place: Place, path: &str) -> Result<PathBuf, AddressError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(source) => Err(AddressError::File { place, source }),
    }
}

/// Servers in the order in which they are tried.
fn hosts(settings: &Settings, tls: PgSslMode) -> Result<Vec<Host>, AddressError> {
    let list = |name| settings.get(name).map(|(_, text)| text.split(',').map(str::trim).collect());
    let (names, addresses): (Option<Vec<&str>>, Option<Vec<&str>>) =
        (list("host"), list("hostaddr"));
    if addresses.is_some() && names.is_some() && matches!(tls, PgSslMode::VerifyFull) {
        return Err(AddressError::Together(
            "hostaddr does not go with sslmode=verify-full, which verifies the host that is connected to: \
             take hostaddr out",
        ));
    }
    let names = match (addresses, names) {
        (Some(addresses), None) => addresses,
        (Some(addresses), Some(names)) if addresses.len() == names.len() => addresses
            .into_iter()
            .zip(names)
            .map(|(address, name)| if address.is_empty() { name } else { address })
            .collect(),
        (Some(_), Some(_)) => {
            return Err(AddressError::Together("there are not as many in hostaddr as in host"));
        }
        (None, names) => names.unwrap_or_else(|| vec![""]),
    };
    let ports = ports(settings, names.len())?;
    let mut hosts = Vec::with_capacity(names.len());
    for (name, port) in names.into_iter().zip(ports) {
        let is_socket = name.starts_with('/');
        if name.contains(|c: char| c.is_whitespace() || c == '@' || (c == '/' && !is_socket)) {
            return Err(AddressError::Unreadable);
        }
        let name = if name.is_empty() { default_host(port) } else { name.to_owned() };
        hosts.push(Host { name, port });
    }
    Ok(hosts)
}

fn ports(settings: &Settings, hosts: usize) -> Result<Vec<u16>, AddressError> {
    let Some((place, text)) = settings.get("port") else { return Ok(vec![PORT; hosts]) };
    let mut ports = Vec::new();
    for text in text.split(',').map(str::trim) {
        let port = if text.is_empty() { Ok(PORT) } else { text.parse() };
        match port {
            Ok(port) if port != 0 => ports.push(port),
            _ => return Err(AddressError::Value { place, allowed: "1 to 65535" }),
        }
    }
    match ports.as_slice() {
        [port] => Ok(vec![*port; hosts]),
        _ if ports.len() == hosts => Ok(ports),
        _ => Err(AddressError::Together("there are not as many ports as hosts in DATABASE_URL")),
    }
}

fn default_host(port: u16) -> String {
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    SOCKET_FOLDERS.into_iter().find(has_socket).unwrap_or("localhost").to_owned()
}

/// Everything that is the same for all servers. Not a word of the address reaches sqlx's reader, which logs
/// what it does not know, but for the start-up options, which have no other way in.
fn base(
    settings: &Settings,
    application: &str,
    tls: PgSslMode,
    root: Option<&Path>,
) -> Result<PgConnectOptions, AddressError> {
    let given = settings.get("options").filter(|(place, _)| !matches!(place, Place::Variable(_)));
    let given = given.map(|(_, text)| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
    let query = given.map_or_else(String::new, |text| format!("?options={text}"));
    // With a password, so that it does not look for one, and tell the lines of the file.
    let mut options = PgConnectOptions::from_str(&format!("postgres://x:x@localhost/{query}"))
        .map_err(|_| AddressError::Unreadable)?
        .extra_float_digits(None)
        .ssl_mode(tls)
        // What is slow is said in our own words; sqlx's hold the whole statement.
        .disable_statement_logging();
    let named =
        settings.get("application_name").or_else(|| settings.get("fallback_application_name"));
    options = options.application_name(named.map_or(application, |(_, name)| name));
    options = match (settings.get("user"), user_of_process()) {
        (Some((_, user)), _) => options.username(user),
        (None, Some(user)) => options.username(&user),
        (None, None) => return Err(AddressError::Together(NO_USER)),
    };
    let database =
        settings.get("dbname").map_or(options.get_username(), |(_, name)| name).to_owned();
    options = options.database(&database);
    options = match root {
        Some(path) => options.ssl_root_cert(path),
        // None but the system's, whatever the environment says.
        None => options.ssl_root_cert_from_pem(Vec::new()),
    };
    match (settings.get("sslcert"), settings.get("sslkey")) {
        (Some((cert_place, cert)), Some((key_place, key))) => {
            options = options.ssl_client_cert(readable(cert_place, cert)?);
            options = options.ssl_client_key(readable(key_place, key)?);
        }
        (None, None) => {}
        _ => {
            return Err(AddressError::Together(
                "sslcert and sslkey go together: set both, or neither",
            ));
        }
    }
    Ok(options)
}

const NO_USER: &str = "no user: name one in DATABASE_URL (postgres://user:password@host:5432/database), or \
                       set PGUSER";

/// The user that runs this program, as sqlx finds it.
fn user_of_process() -> Option<String> {
    let user = PgConnectOptions::new_without_pgpass().get_username().to_owned();
    Some(user).filter(|user| user != "unknown")
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
