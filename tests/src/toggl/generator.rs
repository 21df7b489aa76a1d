//! Accounts of any size, always the same for the same size, with the oddities of real ones: names
//! that need escaping, missing projects, ids above 2^32 in no order, one running entry.

use jiff::Timestamp;

use super::account::{Account, List};
use super::entry_text::EntryWriter;
use super::record::{Record, quoted};

/// Words of the names; some need care in JSON, SQL or a terminal.
const WORDS: [&str; 16] = [
    "Website",
    "Büro",
    "数据",
    "Émile & Co",
    "O'Brien",
    "\"Quoted\"",
    "back\\slash",
    "🚀 Launch",
    "internal",
    "Support",
    "Ångström",
    "ρ-Test",
    "<b>bold</b>",
    "50% done",
    "Tab\there",
    "Übergabe",
];

const COLORS: [&str; 6] = ["#0b83d9", "#9e5bd9", "#d94182", "#e36a00", "#2da608", "#525266"];

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
    /// Entries, all of the token's user; the newest one is running.
    pub time_entries: usize,
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
            time_entries: 200,
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
        let mut writer =
            RecordWriter { chance: Chance::new(size.seed), workspace_id, user_id, now: size.now };
        let (clients, projects) = (size.clients, size.projects);
        let records = (0..clients + size.archived_clients)
            .map(|index| writer.client(index, index >= clients));
        account.extend(List::Clients, workspace_id, records);
        let records = (0..projects + size.archived_projects)
            .map(|index| writer.project(index, index >= projects, clients));
        account.extend(List::Projects, workspace_id, records);
        let tag_names: Vec<String> = (0..size.tags).map(|index| writer.name(index)).collect();
        let records = tag_names.iter().enumerate().map(|(index, name)| writer.tag(index, name));
        account.extend(List::Tags, workspace_id, records);
        let records = (0..size.users).map(|index| writer.user(index));
        account.extend(List::Users, workspace_id, records);
        let records = (0..size.groups).map(|index| writer.group(index));
        account.extend(List::Groups, workspace_id, records);
        account.time_entries = EntryWriter::new(size, workspace_id, user_id, &tag_names).collect();
        account
    }
}

/// The id of a generated project, by its place.
pub(super) fn project_id(index: usize) -> u64 {
    180_000_000 + index as u64 * 7
}

/// The id of a generated tag, by its place.
pub(super) fn tag_id(index: usize) -> u64 {
    16_000_000 + index as u64 * 3
}

fn client_id(index: usize) -> u64 {
    64_000_000 + index as u64 * 5
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

/// Writes the records of the lists.
#[derive(Debug)]
struct RecordWriter {
    chance: Chance,
    workspace_id: i64,
    user_id: i64,
    now: Timestamp,
}

impl RecordWriter {
    fn name(&mut self, index: usize) -> String {
        format!("{} {} {index}", self.chance.of(&WORDS), self.chance.of(&WORDS))
    }

    /// Some time of the year before now.
    fn past(&mut self) -> i64 {
        self.now.as_second() - 1 - self.chance.small_below(365 * 86_400)
    }

    /// Projects and clients carry whole seconds with an offset.
    fn past_second(&mut self) -> String {
        let at = Timestamp::from_second(self.past()).expect("a time in this era");
        at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    }

    /// Tags and groups carry micro-seconds, without their trailing zeros.
    fn past_micro(&mut self) -> String {
        let micros = self.past() * 1_000_000 + self.chance.small_below(1_000_000);
        Timestamp::from_microsecond(micros).expect("a time in this era").to_string()
    }

    fn client(&mut self, index: usize, is_archived: bool) -> Record {
        let (id, name, at) = (client_id(index), quoted(&self.name(index)), self.past_second());
        Record::parse(&format!(
            r#"{{"id":{id},"wid":{},"archived":{is_archived},"name":{name},"at":"{at}","creator_id":{}}}"#,
            self.workspace_id, self.user_id
        ))
    }

    fn project(&mut self, index: usize, is_archived: bool, clients: usize) -> Record {
        let (id, name, at) = (project_id(index), quoted(&self.name(index)), self.past_second());
        let workspace_id = self.workspace_id;
        let has_client = clients > 0 && self.chance.below(4) > 0;
        let client = has_client.then(|| client_id(self.chance.index(clients)));
        let (client_id, cid) = client.map_or_else(
            || ("null".to_owned(), String::new()),
            |id| (id.to_string(), format!(r#""cid":{id},"#)),
        );
        let (active, status) = if is_archived { (false, "archived") } else { (true, "active") };
        let rate = if self.chance.below(3) == 0 { "120.5" } else { "null" };
        let (color, seconds) = (self.chance.of(&COLORS), self.chance.below(1_000_000));
        let (hours, start) = (seconds / 3600, at.split('T').next().unwrap_or_default());
        Record::parse(&format!(
            r#"{{"id":{id},"workspace_id":{workspace_id},"client_id":{client_id},"name":{name},"is_private":true,"active":{active},"at":"{at}","created_at":"{at}","server_deleted_at":null,"color":"{color}","billable":false,"template":null,"auto_estimates":null,"estimated_hours":null,"estimated_seconds":null,"rate":{rate},"rate_last_updated":null,"currency":null,"recurring":false,"template_id":null,"recurring_parameters":null,"fixed_fee":null,"actual_hours":{hours},"actual_seconds":{seconds},"tasks_count":0,"can_track_time":true,"start_date":"{start}","status":"{status}","wid":{workspace_id},{cid}"is_shared":false,"pinned":false}}"#
        ))
    }

    fn tag(&mut self, index: usize, name: &str) -> Record {
        let (id, name, at) = (tag_id(index), quoted(name), self.past_micro());
        Record::parse(&format!(
            r#"{{"id":{id},"workspace_id":{},"name":{name},"at":"{at}","creator_id":{}}}"#,
            self.workspace_id, self.user_id
        ))
    }

    /// The first one is the token's own user.
    fn user(&mut self, index: usize) -> Record {
        let id = self.user_id + i64::try_from(index).expect("few users");
        let (name, is_first) = (quoted(&self.name(index)), index == 0);
        let role = if is_first { "admin" } else { "user" };
        Record::parse(&format!(
            r#"{{"id":{id},"email":"user{index}@example.com","fullname":{name},"inactive":false,"is_active":true,"is_admin":{is_first},"role":"{role}"}}"#
        ))
    }

    fn group(&mut self, index: usize) -> Record {
        let (id, name, at) = (4001 + index, quoted(&self.name(index)), self.past_micro());
        Record::parse(&format!(
            r#"{{"id":{id},"name":{name},"workspace_id":{},"at":"{at}","has_users":true,"permissions":null}}"#,
            self.workspace_id
        ))
    }
}
