//! What is not in the address: a service, the environment, and the file of passwords, in libpq's order.

use std::fs;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::address::{self, Given};
use super::error::{AddressError, Place};
use super::parameters::{PARAMETERS, Parameter};

/// Those that say that a database is meant at all.
const MEANT: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];

/// The process's environment, or that of a test.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's own.
#[expect(
    clippy::disallowed_methods,
    reason = "libpq's variables stand beside one another, and most mean nothing to anybody else"
)]
pub(super) fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every parameter with its value and where it was found.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(&'static Parameter, Place, SecretString)>);

impl Settings {
    /// A value that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<(Place, &str)> {
        let found = self.0.iter().find(|(parameter, ..)| parameter.name == name);
        let (_, place, value) = found?;
        Some((*place, value.expose_secret())).filter(|(_, value)| !value.is_empty())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Parameter, Place, &str)> {
        let all = self
            .0
            .iter()
            .map(|(parameter, place, value)| (*parameter, *place, value.expose_secret()));
        all.filter(|(.., value)| !value.is_empty())
    }
}

/// Reads the address, and whatever stands in for what it leaves open.
pub(super) fn settings(
    address: Option<&str>,
    environment: Environment<'_>,
) -> Result<Settings, AddressError> {
    let is_set = |name: &&str| environment(name).is_some_and(|value| !value.is_empty());
    let mut given = match address.filter(|address| !address.trim().is_empty()) {
        Some(address) => address::parse(address)?,
        None if MEANT.iter().any(is_set) => Given::new(),
        None => return Err(AddressError::Missing),
    };
    let asked = match given.get("service") {
        Some(service) => Some((Place::Address("service"), service.expose_secret().to_owned())),
        None => environment("PGSERVICE").map(|name| (Place::Variable("PGSERVICE"), name)),
    };
    let mut service = match asked.filter(|(_, name)| !name.is_empty()) {
        Some((place, name)) => {
            let file = given.get("servicefile").map(|file| file.expose_secret().to_owned());
            find_service(&name, file, environment)?.ok_or(AddressError::Service(place))?
        }
        None => Given::new(),
    };
    let mut settings = Settings::default();
    for parameter in PARAMETERS {
        let Parameter { name, variable, .. } = *parameter;
        let found = given
            .remove(name)
            .map(|value| (Place::Address(name), value))
            .or_else(|| service.remove(name).map(|value| (Place::Service(name), value)))
            .or_else(|| {
                let variable = variable?;
                let value = environment(variable)?;
                Some((Place::Variable(variable), SecretString::from(value)))
            });
        settings.0.extend(found.map(|(place, value)| (parameter, place, value)));
    }
    Ok(settings)
}

fn home(environment: Environment<'_>) -> Option<PathBuf> {
    environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The section of a service in the user's file, or the system's; none if it is in neither.
fn find_service(
    name: &str,
    file: Option<String>,
    environment: Environment<'_>,
) -> Result<Option<Given>, AddressError> {
    let own = file
        .or_else(|| environment("PGSERVICEFILE"))
        .map(PathBuf::from)
        .or_else(|| Some(home(environment)?.join(".pg_service.conf")));
    let system =
        environment("PGSYSCONFDIR").map(|folder| PathBuf::from(folder).join("pg_service.conf"));
    for path in own.into_iter().chain(system) {
        let Ok(text) = fs::read_to_string(path) else { continue };
        if let Some(found) = section(&text, name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn section(text: &str, name: &str) -> Result<Option<Given>, AddressError> {
    let mut found: Option<Given> = None;
    for line in
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if section.strip_suffix(']') == Some(name) {
                found = Some(Given::new());
            }
        } else if let Some(found) = &mut found {
            let (name, value) = line.split_once('=').ok_or(AddressError::Unreadable)?;
            let parameter =
                super::parameters::find(name.trim()).ok_or(AddressError::Unknown(None))?;
            found.insert(parameter.name, value.trim().into());
        }
    }
    Ok(found)
}

/// The password for a server, of `passfile` or `~/.pgpass`: lines of `host:port:database:user:password`.
/// A file that others can read is not used, as by libpq.
pub(super) fn password(
    settings: &Settings,
    environment: Environment<'_>,
    fields: [&str; 4],
) -> Option<SecretString> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = match settings.get("passfile") {
        Some((_, path)) => PathBuf::from(path),
        None => home(environment)?.join(".pgpass"),
    };
    let metadata = fs::metadata(&path).ok()?;
    if !metadata.is_file() {
        return None;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            "The file of passwords for Postgres is not used, for others can read it: chmod 0600"
        );
        return None;
    }
    let text = SecretString::from(fs::read_to_string(&path).ok()?);
    text.expose_secret().lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for field in fields {
            let (found, after) = next_field(rest);
            if found != "*" && found != field {
                return None;
            }
            rest = after?;
        }
        Some(SecretString::from(next_field(rest).0))
    })
}

/// A field without its escapes, and what follows its colon. The last one may hold colons of its own only if
/// they are escaped.
fn next_field(text: &str) -> (String, Option<&str>) {
    let mut field = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => field.extend(characters.next().map(|(_, escaped)| escaped)),
            ':' => return (field, text.get(place + 1..)),
            character => field.push(character),
        }
    }
    (field, None)
}
