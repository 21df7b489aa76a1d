//! What is the same for all servers, in sqlx's form.

use std::path::Path;
use std::str::FromStr as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::tls::readable;
use crate::postgres::environment::Settings;
use crate::postgres::error::{AddressError, Place};

/// Everything that is the same for all servers. Not a word of the address reaches sqlx's reader, which logs
/// what it does not know, but for the start-up options, which have no other way in.
pub(super) fn base(
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
