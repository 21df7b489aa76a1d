//! What Toggl knows of one user: the profile, the workspaces with their lists, and the time
//! entries, each record as the text a client receives.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::deletions::Deletions;
use super::happenings::Happenings;
use super::list::List;
use super::record::{Record, array_items, quoted, with_fields};
use super::team::Team;
use super::time_entries::{EntryFilter, TimeEntries, TimeEntry};

/// The API token of every account until [`Account::set_token`] changes it.
pub const TOKEN: &str = "5imulat0r0000000000000000000000t";

const INTERCOM_HASH: &str = "dummy-intercom-hash-0000000000000000000000000000000000000000000";
const WORKSPACE_TOKEN: &str = "dummy-workspace-api-token-000000";
const ICAL_TOKEN: &str = "dummy-ical-token-0000000000000000";
pub(super) const INVITE_URL: &str = "dummy-invite-url-0000";
pub(super) const INVITATION_CODE: &str = "dummy-invitation-code-0000";

const ME: &str = include_str!("../../fixtures/me.json");
const WORKSPACES: &str = include_str!("../../fixtures/workspaces.json");
const ORGANIZATIONS: &str = include_str!("../../fixtures/organizations.json");

/// One user's Toggl, served by a [`Simulator`](super::Simulator).
#[derive(Debug, Clone)]
pub struct Account {
    token: String,
    me: Box<str>,
    user_id: i64,
    time_zone: TimeZone,
    pub(super) workspaces: Vec<Record>,
    pub(super) organizations: Vec<Record>,
    pub(super) team: Team,
    lists: HashMap<(List, i64), Vec<Record>>,
    pub(super) deletions: Deletions,
    pub(super) time_entries: TimeEntries,
    pub(super) happenings: Happenings,
}

impl Account {
    /// The profile of the fixtures with their one workspace, and nothing in it.
    pub fn empty() -> Self {
        let mut account = Self {
            token: TOKEN.to_owned(),
            me: "".into(),
            user_id: 0,
            time_zone: TimeZone::UTC,
            workspaces: Vec::new(),
            organizations: parse_records(ORGANIZATIONS),
            team: Team::default(),
            lists: HashMap::new(),
            deletions: Deletions::default(),
            time_entries: TimeEntries::default(),
            happenings: Happenings::default(),
        };
        account.set_me(ME.trim_end());
        for workspace in array_items(WORKSPACES) {
            account.put_workspace(workspace.get());
        }
        account
    }

    /// Every secret that Toggl hands out with the records. None may reach a log, NATS or Postgres.
    pub fn secrets(&self) -> Vec<String> {
        let records = [INTERCOM_HASH, WORKSPACE_TOKEN, ICAL_TOKEN, INVITE_URL, INVITATION_CODE];
        std::iter::once(self.token.clone()).chain(records.map(str::to_owned)).collect()
    }

    /// The user name of Basic authentication; the password is the word `api_token`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Gives the user another token: the old one is refused, the profile shows the new one.
    pub fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
        self.set_me(&with_fields(&self.me, &[("api_token", &quoted(token))]));
    }

    /// The user's id, which is also the `user_id` of the user's entries.
    pub const fn user_id(&self) -> i64 {
        self.user_id
    }

    /// The body of `/me`.
    pub const fn me(&self) -> &str {
        &self.me
    }

    /// Replaces the body of `/me`. The token that is accepted stays that of [`Account::token`].
    ///
    /// # Panics
    ///
    /// Without an `id` or with a `timezone` the database does not know.
    pub fn set_me(&mut self, text: &str) {
        let profile: Profile = serde_json::from_str(text).expect("/me is a JSON object");
        self.user_id = profile.id;
        self.time_zone = TimeZone::get(&profile.timezone).expect("a known time zone");
        self.me = text.into();
    }

    /// Sets the time zone of the profile, an IANA name. Toggl reads bare dates in it.
    ///
    /// # Panics
    ///
    /// If the time zone is unknown.
    pub fn set_time_zone(&mut self, name: &str) {
        self.set_me(&with_fields(&self.me, &[("timezone", &quoted(name))]));
    }

    pub(super) const fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// A workspace's list in Toggl's order, by name, archived records included.
    pub fn records(&self, list: List, workspace_id: i64) -> &[Record] {
        self.lists.get(&(list, workspace_id)).map_or(&[], Vec::as_slice)
    }

    /// Adds a record, or replaces the one with its id.
    ///
    /// # Panics
    ///
    /// If the text is no JSON object with an id.
    pub fn put(&mut self, list: List, workspace_id: i64, text: &str) {
        let record = Record::parse(text);
        self.happens_to_record(list, workspace_id, &record);
        self.remove(list, workspace_id, record.id());
        self.deletions.forget(list, workspace_id, record.id());
        let records = self.lists.entry((list, workspace_id)).or_default();
        let place = records.partition_point(|other| other.order() < record.order());
        records.insert(place, record);
    }

    /// Adds many records at once. Their ids must be new.
    pub(super) fn extend(
        &mut self,
        list: List,
        workspace_id: i64,
        records: impl IntoIterator<Item = Record>,
    ) {
        let known = self.lists.entry((list, workspace_id)).or_default();
        known.extend(records);
        known.sort_by(|one, other| one.order().cmp(&other.order()));
    }

    /// Sets fields of a record to JSON texts; see [`with_fields`].
    ///
    /// # Panics
    ///
    /// If there is no such record or a value is no JSON.
    pub fn edit(&mut self, list: List, workspace_id: i64, id: i64, changes: &[(&str, &str)]) {
        let records = self.records(list, workspace_id);
        let record = records.iter().find(|record| record.id() == id).expect("a known record");
        let edited = with_fields(record.text(), changes);
        self.put(list, workspace_id, &edited);
    }

    /// Removes a record without a trace, as if the user could no longer see it; see [`Account::delete`].
    /// False if it was not there.
    pub fn remove(&mut self, list: List, workspace_id: i64, id: i64) -> bool {
        let Some(records) = self.lists.get_mut(&(list, workspace_id)) else {
            return false;
        };
        let before = records.len();
        records.retain(|record| record.id() != id);
        records.len() < before
    }

    /// The entries of all users and workspaces, oldest start first, deleted ones included.
    pub fn time_entries(&self) -> impl DoubleEndedIterator<Item = &TimeEntry> {
        self.time_entries.iter()
    }

    /// The entry with this id, deleted or not.
    pub fn time_entry(&self, id: i64) -> Option<&TimeEntry> {
        self.time_entries.find(id)
    }

    /// Adds an entry, or replaces the one with its id. With `server_deleted_at` set it is one that
    /// only `since` shows.
    ///
    /// # Panics
    ///
    /// Without one of `id`, `user_id`, `start`, `at`, `duration`.
    pub fn put_time_entry(&mut self, text: &str) {
        let entry = TimeEntry::parse(text);
        self.happens_to_entry(&entry);
        self.time_entries.put(entry);
    }

    /// Sets fields of an entry to JSON texts, and `at` to the time of the change. Who gives a running entry
    /// a duration stops it: without a stop there is none.
    ///
    /// # Panics
    ///
    /// If there is no such entry or a value is no JSON.
    pub fn edit_time_entry(&mut self, id: i64, at: Timestamp, changes: &[(&str, &str)]) {
        let entry = self.time_entries.find(id).expect("a known time entry");
        let at = quoted(&at.to_string());
        let mut edited = with_fields(&with_fields(entry.text(), changes), &[("at", &at)]);
        let entry = TimeEntry::parse(&edited);
        let is_given_a_length = changes.iter().any(|(name, _)| *name == "duration");
        if is_given_a_length && entry.stop_s.is_none() && !entry.is_running {
            let stop = quoted(&whole_seconds(entry.start_s + entry.duration_s));
            edited = with_fields(&edited, &[("stop", &stop)]);
        }
        self.put_time_entry(&edited);
    }

    /// Deletes an entry as a user does: the lists drop it, `since` shows it with
    /// `server_deleted_at` in whole seconds and `at` as the time of deletion.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    pub fn delete_time_entry(&mut self, id: i64, at: Timestamp) {
        let deleted_at = quoted(&whole_seconds(at.as_second()));
        self.edit_time_entry(id, at, &[("server_deleted_at", &deleted_at)]);
    }

    /// What the token's user may see of the entries, newest start first.
    pub(super) fn visible_entries(&self, filter: EntryFilter) -> impl Iterator<Item = &TimeEntry> {
        self.time_entries.newest_first(filter).filter(|entry| entry.user_id == self.user_id)
    }
}

#[derive(Deserialize)]
struct Profile {
    id: i64,
    timezone: String,
}

/// The records of a JSON array.
pub(super) fn parse_records(array: &str) -> Vec<Record> {
    array_items(array).iter().map(|item| Record::parse(item.get())).collect()
}

/// Toggl's spelling of starts, stops and deletions: UTC with an offset, no fraction.
pub(super) fn whole_seconds(unix_s: i64) -> String {
    let at = Timestamp::from_second(unix_s).expect("a time in this era");
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
