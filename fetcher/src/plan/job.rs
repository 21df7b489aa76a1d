//! The runs of a plan.

use std::fmt;

/// A run, those first that keep what they need from those after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Job {
    /// Everything, whole.
    Sync,
    /// What has changed of lists and entries.
    Lists,
    /// Toggl's own sums.
    Verify,
    /// Everybody's entries of the last days.
    Team,
    /// What has changed of the entries.
    Changes,
}

impl Job {
    /// Whether it is done at any price: what has changed comes with a sync as well.
    pub(super) const fn is_worth_an_hour(self) -> bool {
        matches!(self, Self::Sync | Self::Verify | Self::Team)
    }

    /// The runs that it makes needless.
    pub(super) const fn covers(self) -> &'static [Self] {
        match self {
            Self::Sync => &[Self::Sync, Self::Lists, Self::Changes],
            Self::Lists => &[Self::Lists, Self::Changes],
            Self::Verify => &[Self::Verify],
            Self::Team => &[Self::Team],
            Self::Changes => &[Self::Changes],
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Lists => "changes of lists",
            Self::Verify => "verification",
            Self::Team => "team's entries",
            Self::Changes => "changes",
        })
    }
}
