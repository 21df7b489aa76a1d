//! Why a report stopped.

use crate::outcome::SyncError;
use crate::publisher::PublishError;
use crate::state::StateError;
use crate::toggl::Error;

/// Why a report stopped. The next run goes on there.
#[derive(Debug)]
pub(crate) enum Stopped {
    Toggl(Error),
    Run(SyncError),
}

impl From<StateError> for Stopped {
    fn from(error: StateError) -> Self {
        Self::Run(error.into())
    }
}

impl From<jiff::Error> for Stopped {
    fn from(error: jiff::Error) -> Self {
        Self::Run(error.into())
    }
}

impl From<PublishError> for Stopped {
    fn from(error: PublishError) -> Self {
        Self::Run(error.into())
    }
}
