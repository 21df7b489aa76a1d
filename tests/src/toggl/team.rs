//! The people of an account's workspaces, as reports show them: their names and time zones.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::account::Account;
use super::list::List;

/// The time zones that people have set in their own profiles.
#[derive(Debug, Clone, Default)]
pub(super) struct Team {
    time_zones: HashMap<i64, TimeZone>,
}

impl Account {
    /// Sets the time zone of somebody's profile, an IANA name. Reports cut days and show times in
    /// the zone of whose entry it is; until this is set, it is that of the token's user.
    ///
    /// # Panics
    ///
    /// If the time zone is unknown.
    pub fn set_user_time_zone(&mut self, user_id: i64, name: &str) {
        if user_id == self.user_id() {
            self.set_time_zone(name);
        } else {
            let time_zone = TimeZone::get(name).expect("a known time zone");
            self.team.time_zones.insert(user_id, time_zone);
        }
    }

    pub(super) fn time_zone_of(&self, user_id: i64) -> &TimeZone {
        self.team.time_zones.get(&user_id).unwrap_or_else(|| self.time_zone())
    }

    /// The users whose time zone is set apart from the profile's.
    pub(super) fn users_with_time_zones(&self) -> impl Iterator<Item = i64> {
        self.team.time_zones.keys().copied()
    }

    /// The name in the list of users; who is not in it is `User <id>`.
    pub(super) fn name_of(&self, workspace_id: i64, user_id: i64) -> String {
        let mut users = self.records(List::Users, workspace_id).iter();
        let listed = users.find(|user| user.id() == user_id).and_then(|user| {
            let user: User = serde_json::from_str(user.text()).expect("a user");
            user.fullname
        });
        listed.unwrap_or_else(|| format!("User {user_id}"))
    }
}

#[derive(Deserialize)]
struct User {
    fullname: Option<String>,
}
