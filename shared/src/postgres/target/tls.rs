//! What the settings say of TLS.

use std::path::PathBuf;

use sqlx::postgres::PgSslMode;

use super::word::word;
use crate::postgres::environment::Settings;
use crate::postgres::error::{AddressError, Place};

const TLS_MODES: [(&str, PgSslMode); 6] = [
    ("disable", PgSslMode::Disable),
    ("allow", PgSslMode::Allow),
    ("prefer", PgSslMode::Prefer),
    ("require", PgSslMode::Require),
    ("verify-ca", PgSslMode::VerifyCa),
    ("verify-full", PgSslMode::VerifyFull),
];

/// The mode, and the file of roots where it is not the system's.
pub(super) fn tls(settings: &Settings) -> Result<(PgSslMode, Option<PathBuf>), AddressError> {
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
pub(super) fn readable(place: Place, path: &str) -> Result<PathBuf, AddressError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(source) => Err(AddressError::File { place, source }),
    }
}
