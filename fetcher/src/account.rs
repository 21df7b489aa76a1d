//! Whose data a token reads, and in which workspaces.

use jiff::tz::TimeZone;
use serde::Deserialize;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;

/// The owner of a token, from /me.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// The user's id.
    pub id: i64,
    /// The workspace that is read if none is named.
    pub default_workspace_id: Option<i64>,
    /// IANA name of the profile's time zone.
    pub timezone: Option<String>,
    /// The user's name.
    pub fullname: Option<String>,
    /// The user's address.
    pub email: Option<String>,
}

impl Account {
    /// The profile's time zone, which its days are reckoned in.
    pub(crate) fn zone(&self) -> TimeZone {
        let name = self.timezone.as_deref().unwrap_or("UTC");
        TimeZone::get(name).unwrap_or_else(|_| {
            warn!(target: ORCHESTRATOR, "Unknown time zone {name:?} in the Toggl profile, using UTC");
            TimeZone::UTC
        })
    }
}

/// A workspace of the token's owner.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) id: i64,
    pub(crate) name: Option<String>,
    pub(crate) organization_id: Option<i64>,
    admin: Option<bool>,
    role: Option<String>,
    premium: Option<bool>,
    business_ws: Option<bool>,
    /// Since when Toggl tells nothing of it, as it says.
    pub(crate) suspended_at: Option<String>,
}

impl Workspace {
    /// As far as an earlier run has written it down.
    pub(crate) const fn known(id: i64, organization_id: Option<i64>, is_admin: bool) -> Self {
        Self {
            id,
            name: None,
            organization_id,
            admin: Some(is_admin),
            role: None,
            premium: None,
            business_ws: None,
            suspended_at: None,
        }
    }

    /// Whether reports show this user everybody's entries.
    pub(crate) fn is_admin(&self) -> bool {
        self.admin == Some(true) || self.role.as_deref() == Some("admin")
    }

    /// The plan, as far as the workspace tells: `premium` means Starter or better, `business_ws`
    /// Premium (Track API v9, `workspace.Workspace`).
    pub(crate) fn plan(&self) -> &'static str {
        match (self.business_ws, self.premium) {
            (Some(true), _) => "Premium or better",
            (_, Some(true)) => "Starter",
            (_, Some(false)) => "Free",
            _ => "unknown",
        }
    }
}

/// Which workspaces to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Workspaces {
    /// The profile's default workspace.
    #[default]
    Default,
    /// Every workspace of the token's owner.
    All,
    /// These.
    Ids(Vec<i64>),
}

impl std::str::FromStr for Workspaces {
    type Err = String;

    /// `all`, or ids with commas between.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        let mut ids = Vec::new();
        for word in text.split(',') {
            match word.trim().parse::<i64>() {
                Ok(id) if id > 0 && !ids.contains(&id) => ids.push(id),
                Ok(id) if id > 0 => {}
                _ => return Err(format!("{word:?} is no workspace id; give ids or `all`")),
            }
        }
        Ok(Self::Ids(ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspaces_are_all_or_ids() {
        for all in ["all", " All"] {
            assert_eq!(all.parse(), Ok(Workspaces::All));
        }
        assert_eq!("2, 7,2".parse(), Ok(Workspaces::Ids(vec![2, 7])));
        for wrong in ["", "0", "-1", "2,,7", "x", "all,2"] {
            assert!(wrong.parse::<Workspaces>().is_err(), "{wrong}");
        }
    }
}
