//! The address that a role logs in with: the administrator's, with another user.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::login::Login;
use crate::postgres::database::Endpoint;

/// What stands for a password that is not known.
const UNKNOWN: &str = "PASSWORD";
/// Supabase's pooler tells projects by what stands behind the dot in the user's name.
const SUPABASE_POOLER: &str = ".pooler.supabase.com";

/// What a name of a database keeps in an address.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
/// What of an address holds for every user.
const SETTINGS: [&str; 2] = ["sslmode", "sslrootcert"];

/// `port` is the server's own, for an administrator who came by its socket: there it usually goes by who one
/// is on the machine, which a role is not.
pub(super) fn of(
    own: Option<&SecretString>,
    endpoint: &Endpoint,
    login: &Login,
    port: &str,
) -> String {
    let password = login.password.as_ref().map_or(UNKNOWN, |password| password.expose_secret());
    let project = endpoint
        .user
        .split_once('.')
        .filter(|_| endpoint.host.ends_with(SUPABASE_POOLER))
        .map_or_else(String::new, |(_, project)| format!(".{project}"));
    let host = endpoint.host.trim_start_matches('[').trim_end_matches(']');
    let server = if host.starts_with('/') {
        format!("localhost:{port}")
    } else if host.contains(':') {
        format!("[{host}]:{}", endpoint.port)
    } else {
        format!("{host}:{}", endpoint.port)
    };
    let settings = own.map_or_else(String::new, |own| settings(own.expose_secret()));
    let (role, name) = (login.role, utf8_percent_encode(&endpoint.name, IN_PATH));
    format!("postgres://{role}{project}:{password}@{server}/{name}{settings}")
}

/// Of the administrator's own address, as they stand there.
fn settings(address: &str) -> String {
    let (_, all) = address.split_once('?').unwrap_or_default();
    let is_common =
        |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| SETTINGS.contains(&name));
    let common: Vec<&str> = all.split('&').filter(is_common).collect();
    if common.is_empty() { String::new() } else { format!("?{}", common.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::database::DatabaseArgs;

    fn address(own: &str) -> String {
        let own: SecretString = own.into();
        let args = DatabaseArgs { database_url: Some(own.clone()) };
        let endpoint = args.database().unwrap().endpoint();
        let login = Login { role: "toggl_track_loader", password: Some("pw".into()) };
        of(Some(&own), &endpoint, &login, "5433")
    }

    #[test]
    fn another_user_s_address_keeps_the_place_and_tls_and_nothing_of_the_administrator() {
        for (own, other) in [
            ("postgres://root:hunter2@db.example/toggl", "db.example:5432/toggl"),
            ("postgresql://root:hunter2@[::1]:5/toggl_1", "[::1]:5/toggl_1"),
            (
                "postgres://h/d?user=root&password=hunter2&sslmode=verify-full&sslrootcert=/dev/%6eull&sslcert=/dev/%6eull&sslkey=/dev/%6eull",
                "h:5432/d?sslmode=verify-full&sslrootcert=/dev/%6eull",
            ),
            ("postgres://root@h/a%20%2Fb", "h:5432/a%20%2Fb"),
            ("postgres:///toggl?host=/var/run/postgresql", "localhost:5433/toggl"),
            ("postgres://root@%2Frun%2Fpostgresql/toggl", "localhost:5433/toggl"),
        ] {
            let expected = format!("postgres://toggl_track_loader:pw@{other}");
            assert_eq!(address(own), expected);
        }
        assert_eq!(
            address("postgres://postgres.abc:hunter2@eu.pooler.supabase.com:6543/postgres"),
            "postgres://toggl_track_loader.abc:pw@eu.pooler.supabase.com:6543/postgres"
        );
    }
}
