//! Which servers the settings name.

use std::fmt;
use std::path::Path;

use sqlx::postgres::PgSslMode;

use crate::postgres::environment::Settings;
use crate::postgres::error::AddressError;

const PORT: u16 = 5432;
/// Where a server on this machine has its socket.
pub(super) const SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/private/tmp", "/tmp"];

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::postgres) struct Host {
    /// A name, an address, or the folder of a socket.
    pub(in crate::postgres) name: String,
    pub(in crate::postgres) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// Servers in the order in which they are tried.
pub(super) fn hosts(settings: &Settings, tls: PgSslMode) -> Result<Vec<Host>, AddressError> {
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
