//! The text of an address, in libpq's two forms: `postgres://user:password@host:5432/database?key=value`
//! and `host=… dbname=…`.
//!
//! Stricter than others with what should be percent-encoded: where a password holds a `/`, what follows
//! would be taken for the database, a host or a parameter, and told in errors.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::AddressError;
use super::parameters::{self, Parameter};

/// What an address says, by the names of libpq.
pub(super) type Given = BTreeMap<&'static str, SecretString>;

const SECRETS: [&str; 2] = ["password", "sslpassword"];

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Reads either form.
pub(super) fn parse(text: &str) -> Result<Given, AddressError> {
    let text = text.trim();
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => parse_url(rest),
        // An address of something else may have settings behind it, too.
        None if text.split_once('=').is_none_or(|(name, _)| name.contains("://")) => {
            Err(AddressError::Unreadable)
        }
        None => parse_pairs(text),
    }
}

#[derive(Default)]
struct Reader {
    given: Given,
    /// Whether a piece of a secret might look like a parameter.
    may_be_secret: bool,
}

impl Reader {
    fn take(&mut self, name: &str, value: &str) -> Result<(), AddressError> {
        // As libpq has it, for those who come from JDBC.
        if name == "ssl" && value == "true" {
            return self.take("sslmode", "require");
        }
        if let Some(setting) = name.strip_prefix("options[").and_then(|name| name.strip_suffix(']'))
        {
            let value = value.replace('\\', r"\\").replace(' ', r"\ ");
            self.append_option(&format!("-c {setting}={value}"));
            return Ok(());
        }
        let Some(parameter) = parameters::find(name) else {
            return Err(self.unknown(name));
        };
        let Parameter { name, .. } = parameter;
        self.may_be_secret |= SECRETS.contains(name);
        self.given.insert(name, value.into());
        Ok(())
    }

    fn append_option(&mut self, option: &str) {
        let before = self.given.get("options").map(SecretString::expose_secret);
        let options =
            before.map_or_else(|| option.to_owned(), |before| format!("{before} {option}"));
        self.given.insert("options", options.into());
    }

    fn unknown(&self, name: &str) -> AddressError {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_plain = (1..=40).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(is_name);
        AddressError::Unknown(
            Some(name.to_owned())
                .filter(|_| is_plain && !self.may_be_secret && !self.given.is_empty()),
        )
    }
}

fn decode(text: &str) -> Result<String, AddressError> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.get(..2).ok_or(AddressError::Unreadable)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || digits == "00" {
            return Err(AddressError::Unreadable);
        }
        rest = after;
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::Unreadable)?;
    Ok(text.into_owned())
}

fn parse_url(text: &str) -> Result<Given, AddressError> {
    if text.contains('#') {
        return Err(AddressError::Unreadable);
    }
    let (text, query) =
        text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
    let (authority, database) =
        text.split_once('/').map_or((text, None), |(authority, path)| (authority, Some(path)));
    let (login, hosts) = match authority.split_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let beyond = [Some(hosts), database, query];
    if beyond.into_iter().flatten().any(|part| part.contains('@')) {
        return Err(AddressError::Unreadable);
    }
    let mut reader = Reader::default();
    let mut take = |name, value: &str| {
        let value = decode(value)?;
        if value.is_empty() { Ok(()) } else { reader.take(name, &value) }
    };
    if let Some(login) = login {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        take("user", user)?;
        take("password", password)?;
    }
    let (hosts, ports) = split_hosts(hosts)?;
    take("host", &hosts)?;
    take("port", &ports)?;
    take("dbname", database.unwrap_or_default())?;
    // A password of the log-in ends with its `@`: what follows is none of it.
    reader.may_be_secret = false;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(AddressError::Unreadable)?;
        // A plus is one, as libpq has it.
        reader.take(&decode(name)?, &decode(value)?)?;
    }
    Ok(reader.given)
}

/// Hosts and ports, each with commas between; a missing port is an empty one.
fn split_hosts(text: &str) -> Result<(String, String), AddressError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        let (host, rest) = match part.strip_prefix('[') {
            Some(part) => part.split_once(']').ok_or(AddressError::Unreadable)?,
            None => part.split_at(part.find(':').unwrap_or(part.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port,
            None if rest.is_empty() => "",
            None => return Err(AddressError::Unreadable),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AddressError::Unreadable);
        }
        hosts.push(host);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) { Vec::new() } else { ports };
    Ok((hosts.join(","), ports.join(",")))
}

/// Values are bare words, or stand between quotes; a backslash takes the next character as it is.
fn parse_pairs(text: &str) -> Result<Given, AddressError> {
    let mut reader = Reader::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(AddressError::Unreadable)?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(AddressError::Unreadable);
        }
        let (value, after) = value(after.trim_start())?;
        reader.take(name, &value)?;
        rest = after.trim_start();
    }
    Ok(reader.given)
}

/// A value and what follows it.
fn value(text: &str) -> Result<(String, &str), AddressError> {
    let quoted = text.strip_prefix('\'');
    let text = quoted.unwrap_or(text);
    let is_quoted = quoted.is_some();
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next().ok_or(AddressError::Unreadable)?.1),
            '\'' if is_quoted => {
                return Ok((value, text.get(place + 1..).unwrap_or_default()));
            }
            space if space.is_whitespace() && !is_quoted => {
                return Ok((value, text.get(place..).unwrap_or_default()));
            }
            character => value.push(character),
        }
    }
    if is_quoted { Err(AddressError::Unreadable) } else { Ok((value, "")) }
}
