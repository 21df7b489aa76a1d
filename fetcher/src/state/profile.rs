//! Whose a token is, so that a run of one request need not ask for it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::{Account, Workspace};

/// What is older is asked for again.
const KEPT: Duration = Duration::from_hours(24);

/// What /me said of a token's owner. Key `profile.<fingerprint of the token>`: a token that is replaced, maybe by
/// somebody else's, is never taken for the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// When /me was asked, by Toggl's clock.
    pub(crate) at: Timestamp,
    user_id: i64,
    default_workspace_id: Option<i64>,
    timezone: Option<String>,
    /// As they were listed last; empty where no run has asked for them.
    #[serde(default)]
    workspaces: Vec<KnownWorkspace>,
}

/// A workspace, as far as it says who reads its lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownWorkspace {
    id: i64,
    organization_id: Option<i64>,
    is_admin: bool,
}

impl Profile {
    pub(crate) fn key(fingerprint: &str) -> String {
        format!("profile.{fingerprint}")
    }

    pub(crate) fn of(account: &Account, at: Timestamp) -> Self {
        Self {
            at,
            user_id: account.id,
            default_workspace_id: account.default_workspace_id,
            timezone: account.timezone.clone(),
            workspaces: Vec::new(),
        }
    }

    /// The same with the workspaces that an earlier run has listed.
    pub(crate) fn after(self, before: Option<Self>) -> Self {
        let before = before.filter(|before| before.user_id == self.user_id);
        Self { workspaces: before.map_or_else(Vec::new, |before| before.workspaces), ..self }
    }

    /// The same with these workspaces.
    pub(crate) fn with(self, workspaces: &[Workspace]) -> Self {
        let workspaces = workspaces.iter().map(|workspace| KnownWorkspace {
            id: workspace.id,
            organization_id: workspace.organization_id,
            is_admin: workspace.is_admin(),
        });
        Self { workspaces: workspaces.collect(), ..self }
    }

    /// Whether it is young enough to go by. One from the future was written by a clock that was wrong.
    pub(crate) fn is_fresh(&self, now: Timestamp) -> bool {
        let kept = SignedDuration::try_from(KEPT).unwrap_or(SignedDuration::ZERO);
        now.duration_since(self.at).abs() <= kept
    }

    pub(crate) fn account(&self) -> Account {
        Account {
            id: self.user_id,
            default_workspace_id: self.default_workspace_id,
            timezone: self.timezone.clone(),
            fullname: None,
            email: None,
        }
    }

    pub(crate) fn organization_of(&self, workspace_id: i64) -> Option<i64> {
        self.workspaces.iter().find(|known| known.id == workspace_id)?.organization_id
    }

    pub(crate) fn workspaces(&self) -> Vec<Workspace> {
        let known = |w: &KnownWorkspace| Workspace::known(w.id, w.organization_id, w.is_admin);
        self.workspaces.iter().map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: i64) -> Account {
        let (fullname, email) = (Some("Eva".to_owned()), Some("eva@example.com".to_owned()));
        let timezone = Some("Europe/Berlin".to_owned());
        Account { id, default_workspace_id: Some(7), timezone, fullname, email }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_profile_is_good_for_a_day_and_one_from_the_future_is_not() {
        let profile = Profile::of(&account(1), at(0));
        let day = 24 * 3_600;
        for (second, is_fresh) in [(0, true), (day, true), (day + 1, false), (-day - 1, false)] {
            assert_eq!(profile.is_fresh(at(second)), is_fresh, "{second}");
        }
    }

    #[test]
    fn it_keeps_who_somebody_is_and_nothing_that_names_a_person() {
        let workspaces = [Workspace::known(7, Some(70), true)];
        let profile = Profile::of(&account(1), at(0)).with(&workspaces);
        let text = serde_json::to_string(&profile).unwrap();
        assert!(!text.contains("Eva") && !text.contains("example.com"), "{text}");
        let read: Profile = serde_json::from_str(&text).unwrap();
        assert_eq!(read.account().zone(), account(1).zone());
        assert!(read.workspaces()[0].is_admin());
    }

    #[test]
    fn workspaces_of_the_same_user_are_kept_and_those_of_another_are_not() {
        let before = Profile::of(&account(1), at(0)).with(&[Workspace::known(7, None, false)]);
        let same = Profile::of(&account(1), at(9)).after(Some(before.clone()));
        assert_eq!(same.workspaces().len(), 1);
        assert_eq!(Profile::of(&account(2), at(9)).after(Some(before)).workspaces().len(), 0);
    }
}
