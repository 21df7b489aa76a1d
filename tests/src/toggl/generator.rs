//! Accounts of any size, always the same for the same size, with the oddities of real ones: names
//! that need escaping, missing projects, ids above 2^32 in no order, one running entry.

use jiff::Timestamp;

use super::account::Account;
use super::entry_text::EntryWriter;
use super::list::List;
use super::record_writer::RecordWriter;

/// What [`Account::generate`] makes. Archived records come on top of the active ones.
#[derive(Debug, Clone)]
pub struct AccountSize {
    /// Active projects.
    pub projects: usize,
    /// Archived projects.
    pub archived_projects: usize,
    /// Active clients.
    pub clients: usize,
    /// Archived clients.
    pub archived_clients: usize,
    /// Tags.
    pub tags: usize,
    /// Users, the token's own among them.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Tasks still to be done.
    pub tasks: usize,
    /// Tasks that are done.
    pub done_tasks: usize,
    /// Entries; the newest one is running, and of the token's user.
    pub time_entries: usize,
    /// The users who take turns at the entries: the first so many of `users`.
    pub entry_users: usize,
    /// The days before `now` over which the entries' starts are spread evenly.
    pub days: u32,
    /// Same seed, same account.
    pub seed: u64,
    /// When the account is looked at. Nothing in it is later.
    pub now: Timestamp,
}

impl Default for AccountSize {
    /// A lively account of one person: two hundred entries over the last month.
    fn default() -> Self {
        Self {
            projects: 12,
            archived_projects: 3,
            clients: 5,
            archived_clients: 2,
            tags: 8,
            users: 4,
            groups: 2,
            tasks: 6,
            done_tasks: 2,
            time_entries: 200,
            entry_users: 1,
            days: 30,
            seed: 1,
            now: Timestamp::now(),
        }
    }
}

impl Account {
    /// An account of this size in the fixtures' workspace.
    pub fn generate(size: &AccountSize) -> Self {
        let mut account = Self::empty();
        let (workspace_id, user_id) = (account.workspace_id(), account.user_id());
        let time_zone = account.time_zone().iana_name().unwrap_or("UTC").to_owned();
        let mut writer = RecordWriter {
            chance: Chance::new(size.seed),
            workspace_id,
            user_id,
            time_zone,
            now: size.now,
        };
        let (clients, projects) = (size.clients, size.projects);
        let records = (0..clients + size.archived_clients)
            .map(|index| writer.client(index, index >= clients));
        account.extend(List::Clients, workspace_id, records);
        let all_projects = projects + size.archived_projects;
        let records =
            (0..all_projects).map(|index| writer.project(index, index >= projects, clients));
        account.extend(List::Projects, workspace_id, records);
        let tag_names: Vec<String> = (0..size.tags).map(|index| writer.name(index)).collect();
        let records = tag_names.iter().enumerate().map(|(index, name)| writer.tag(index, name));
        account.extend(List::Tags, workspace_id, records);
        let user_names: Vec<String> = (0..size.users).map(|index| writer.name(index)).collect();
        let records = user_names.iter().enumerate().map(|(index, name)| writer.user(index, name));
        account.extend(List::Users, workspace_id, records);
        let records = (0..size.groups).map(|index| writer.group(index));
        account.extend(List::Groups, workspace_id, records);
        let records = (0..size.tasks + size.done_tasks)
            .map(|index| writer.task(index, index >= size.tasks, projects));
        account.extend(List::Tasks, workspace_id, records);
        let records = (0..all_projects).map(|index| writer.project_user(index, size.users));
        account.extend(List::ProjectUsers, workspace_id, records);
        let members = user_names.iter().enumerate();
        let records = members.map(|(index, name)| writer.workspace_user(index, name));
        account.extend(List::WorkspaceUsers, workspace_id, records);
        account.time_entries = EntryWriter::new(size, workspace_id, user_id, &tag_names).collect();
        account
    }
}

/// The id of a generated project, by its place.
pub(super) fn project_id(index: usize) -> u64 {
    180_000_000 + index as u64 * 7
}

/// The id of a generated user, by its place; the first is the token's own.
pub(super) fn user_id(own: i64, index: usize) -> i64 {
    own + i64::try_from(index).expect("few users")
}

/// The id of a generated tag, by its place.
pub(super) fn tag_id(index: usize) -> u64 {
    16_000_000 + index as u64 * 3
}

/// Numbers that look random and are the same every time (`splitmix64`).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below the bound; zero for the bound zero.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (mixed ^ (mixed >> 31)).checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }

    /// As `below`, for bounds that are small.
    pub(super) fn small_below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("a small bound")
    }

    /// One of the choices.
    pub(super) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.index(choices.len())]
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("a length");
        usize::try_from(self.below(length)).expect("below a length")
    }
}
