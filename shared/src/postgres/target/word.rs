//! Settings that are a word out of a list.

use crate::postgres::environment::Settings;
use crate::postgres::error::AddressError;

/// The meaning of a word out of a list.
pub(super) fn word<T: Copy>(
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
