//! Which exit code an error of a run is.

use shared::exit::{Exit, Failure};
use shared::postgres::AddressError;

use crate::credentials::CredentialsError;
use crate::credentials::vault::VaultError;
use crate::outcome::SyncError;
use crate::publisher::PublishError;
use crate::state::LeaseError;
use crate::toggl;

pub(super) fn failure(error: SyncError) -> Failure {
    let exit = match &error {
        SyncError::Toggl(toggl::Error::Credentials { .. }) => Exit::Credentials,
        SyncError::Toggl(toggl::Error::Quota { .. }) | SyncError::Quota { .. } => Exit::Quota,
        SyncError::Publish(PublishError::Unacknowledged { .. } | PublishError::NoStream { .. })
        | SyncError::State(_)
        | SyncError::Lease(LeaseError::State(_)) => Exit::Unreachable,
        SyncError::NotYours { .. } => Exit::Usage,
        SyncError::Toggl(_)
        | SyncError::Publish(PublishError::Encode(_) | PublishError::Full(_))
        | SyncError::Lease(LeaseError::Running(_))
        | SyncError::NoWorkspace
        | SyncError::NoneListed
        | SyncError::Calendar(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

pub(super) fn credentials_failure(error: CredentialsError) -> Failure {
    match error {
        CredentialsError::Vault(error) => vault_failure(error),
        error @ (CredentialsError::OneAccount
        | CredentialsError::OneWorkspace
        | CredentialsError::Contradiction { .. }) => {
            Failure { exit: Exit::Usage, error: error.into() }
        }
        error => Failure { exit: Exit::Credentials, error: error.into() },
    }
}

pub(super) fn vault_failure(error: VaultError) -> Failure {
    let exit = match &error {
        VaultError::Address(AddressError::Missing) => Exit::Credentials,
        VaultError::Address(_) => Exit::Usage,
        error if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Credentials,
    };
    Failure { exit, error: error.into() }
}
