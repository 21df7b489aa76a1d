//! Why the vault cannot be used.

use shared::postgres::{AddressError, ConnectError};

/// Why the vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The address is missing or wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody answers, or lets us in.
    #[error(transparent)]
    Unreachable(#[from] ConnectError),
    /// A pooler that knows no transactions.
    #[error(
        "the vault is read in a transaction, and this pooler takes single statements only: connect to \
         Postgres itself, or to a pooler in session or transaction mode"
    )]
    Statements(#[source] sqlx::Error),
    /// There is no vault.
    #[error(
        "this database has no vault; run `loader setup --vault` as a superuser, or set TOGGL_API_TOKEN"
    )]
    NotInstalled,
    /// No right to it.
    #[error(
        "this database role may not do that with the vault; to read it, use the role toggl_track_fetcher \
         that `loader setup --vault` makes, to store in it, one that owns the vault, such as the superuser"
    )]
    Forbidden,
    /// The root key is missing or another one.
    #[error(
        "the vault cannot be opened; check its root key (`loader setup --vault` says where it belongs)"
    )]
    Locked(#[source] sqlx::Error),
    /// Anything else that Postgres says.
    #[error("the vault does not answer")]
    Database(#[source] sqlx::Error),
}

impl VaultError {
    /// Whether Postgres is out of reach, rather than the credentials missing.
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Statements(_) | Self::Database(_))
    }
}

impl From<sqlx::Error> for VaultError {
    fn from(error: sqlx::Error) -> Self {
        let said = error.as_database_error();
        if said.is_some_and(|said| said.message().contains("statement pooling")) {
            return Self::Statements(error);
        }
        match said.and_then(sqlx::error::DatabaseError::code).as_deref() {
            Some("42P01" | "3F000" | "42883") => Self::NotInstalled,
            Some("42501") => Self::Forbidden,
            Some("22000" | "F0000" | "XX000") => Self::Locked(error),
            _ => Self::Database(error),
        }
    }
}
