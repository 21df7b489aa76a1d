//! Passwords of the roles: made here, shown once, and told to Postgres as a verifier, so that no log of the
//! server and no list of its statements has them.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, PgConnection};

use super::SetupError;
use crate::postgres::trouble::{Lack, lack};

/// As Postgres makes them itself.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const PASSWORD_BYTES: usize = 24;
const SALT_BYTES: usize = 16;

/// A role, and its password where that was made now.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) role: &'static str,
    pub(super) password: Option<SecretString>,
}

/// Those of these roles that have a password already; for all that are there where this user may not look.
pub(super) async fn existing(
    connection: &mut PgConnection,
    roles: &[&str],
) -> sqlx::Result<Vec<String>> {
    let roles: Vec<String> = roles.iter().map(|&role| role.to_owned()).collect();
    let may_look: bool = sqlx::query_scalar("select has_table_privilege('pg_authid', 'select')")
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query_scalar(if may_look {
        "select rolname::text from pg_authid where rolname = any($1) and rolpassword is not null"
    } else {
        "select rolname::text from pg_roles where rolname = any($1)"
    })
    .bind(roles)
    .fetch_all(connection)
    .await
}

impl Login {
    /// Gives the role a password if it is none of the known ones.
    pub(super) async fn give(
        connection: &mut PgConnection,
        role: &'static str,
        known: &[String],
    ) -> Result<Self, SetupError> {
        if known.iter().any(|known| known == role) {
            return Ok(Self { role, password: None });
        }
        let password = SecretString::from(hex(&random::<PASSWORD_BYTES>()?));
        let verifier = verifier(&password, &random::<SALT_BYTES>()?);
        let told = tell(connection, role, &verifier).await;
        match told {
            // Some managed servers insist on the password itself.
            Err(error)
                if error.as_database_error().is_some() && lack(&error) != Some(Lack::Rights) =>
            {
                tell(connection, role, password.expose_secret()).await
            }
            told => told,
        }
        .map_err(SetupError::Roles)?;
        Ok(Self { role, password: Some(password) })
    }

    pub(super) const fn is_known(&self) -> bool {
        self.password.is_some()
    }
}

/// Neither role nor word holds a quote or a backslash.
async fn tell(connection: &mut PgConnection, role: &str, word: &str) -> sqlx::Result<()> {
    let statement = AssertSqlSafe(format!("alter role {role} login password '{word}'"));
    sqlx::raw_sql(statement).execute(connection).await.map(drop)
}

fn random<const N: usize>() -> Result<[u8; N], SetupError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SetupError::Random)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// A SCRAM-SHA-256 verifier (RFC 5803), as it stands in `pg_authid`.
fn verifier(password: &SecretString, salt: &[u8]) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    let password = password.expose_secret().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password, &mut salted);
    let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&salted, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}
