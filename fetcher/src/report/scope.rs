//! Whose entries a report holds.

/// Whose entries a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody's that the token may see. What it may claim is the owner's own, unless the owner is
    /// an admin: others are not shown everybody's entries.
    Workspace {
        /// The token's owner.
        user_id: i64,
        is_admin: bool,
    },
    /// The token owner's own.
    User(i64),
}

impl Scope {
    pub(super) const fn claimed_user(self) -> Option<i64> {
        match self {
            Self::Workspace { is_admin: true, .. } => None,
            Self::Workspace { user_id, .. } | Self::User(user_id) => Some(user_id),
        }
    }

    /// What tells the user's reports of a workspace apart from all others.
    pub(super) fn key(self, workspace_id: i64) -> String {
        let (user_id, scope) = match self {
            Self::Workspace { user_id, .. } => (user_id, "all"),
            Self::User(user_id) => (user_id, "own"),
        };
        format!("{user_id}.{workspace_id}.{scope}")
    }
}
