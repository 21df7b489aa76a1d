//! Why a run ended early.

use crate::publisher::PublishError;
use crate::state::{LeaseError, StateError};
use crate::toggl;

/// Why a run ended early. What was sent before is stored, and harmless.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Toggl refuses the token, or /me does not answer.
    #[error(transparent)]
    Toggl(#[from] toggl::Error),
    /// A quota is used up for longer than the run may wait.
    #[error("{error}; {sent}, and the next run goes on with the rest")]
    Quota {
        /// Which, and when to come back.
        error: toggl::Error,
        /// What was sent.
        sent: String,
    },
    /// JetStream does not take the batches.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// JetStream does not keep what the next run needs.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another run of the same account is at work.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Neither the settings nor the profile name a workspace.
    #[error(
        "the Toggl profile has no default workspace; name one with --workspace (TOGGL_WORKSPACE_ID)"
    )]
    NoWorkspace,
    /// Toggl lists others than those that were named.
    #[error(
        "none of the workspaces {named} (--workspace, TOGGL_WORKSPACE_ID) is this account's; it has {there}"
    )]
    NotYours {
        /// What was asked for.
        named: String,
        /// Those of the account, with their names.
        there: String,
    },
    /// All were asked for, and Toggl named none.
    #[error("Toggl lists no workspace of this account; try again, or name one with --workspace")]
    NoneListed,
    /// The calendar ends before the window does.
    #[error("cannot reckon the days of the time entries")]
    Calendar(#[from] jiff::Error),
}
