//! Writing the generated records of a workspace's lists.

use jiff::Timestamp;

use super::account::{INVITATION_CODE, INVITE_URL};
use super::generator::{Chance, project_id, tag_id, user_id};
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

/// Writes the records of one workspace.
#[derive(Debug)]
pub(super) struct RecordWriter {
    pub(super) chance: Chance,
    pub(super) workspace_id: i64,
    /// The token's own user; the others' ids follow.
    pub(super) user_id: i64,
    /// Of every user, an IANA name.
    pub(super) time_zone: String,
    /// Nothing is later.
    pub(super) now: Timestamp,
}

impl RecordWriter {
    pub(super) fn name(&mut self, index: usize) -> String {
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

    pub(super) fn client(&mut self, index: usize, is_archived: bool) -> Record {
        let (id, name, at) = (client_id(index), quoted(&self.name(index)), self.past_second());
        Record::parse(&format!(
            r#"{{"id":{id},"wid":{},"archived":{is_archived},"name":{name},"at":"{at}","creator_id":{}}}"#,
            self.workspace_id, self.user_id
        ))
    }

    pub(super) fn project(&mut self, index: usize, is_archived: bool, clients: usize) -> Record {
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

    pub(super) fn tag(&mut self, index: usize, name: &str) -> Record {
        let (id, name, at) = (tag_id(index), quoted(name), self.past_micro());
        Record::parse(&format!(
            r#"{{"id":{id},"workspace_id":{},"name":{name},"at":"{at}","creator_id":{}}}"#,
            self.workspace_id, self.user_id
        ))
    }

    /// The first one is the token's own user.
    pub(super) fn user(&self, index: usize, name: &str) -> Record {
        let (id, name, is_first) = (self.user_at(index), quoted(name), index == 0);
        let role = if is_first { "admin" } else { "user" };
        Record::parse(&format!(
            r#"{{"id":{id},"email":"user{index}@example.com","fullname":{name},"inactive":false,"is_active":true,"is_admin":{is_first},"role":"{role}"}}"#
        ))
    }

    pub(super) fn group(&mut self, index: usize) -> Record {
        let (id, name, at) = (4001 + index, quoted(&self.name(index)), self.past_micro());
        Record::parse(&format!(
            r#"{{"id":{id},"name":{name},"workspace_id":{},"at":"{at}","has_users":true,"permissions":null}}"#,
            self.workspace_id
        ))
    }

    pub(super) fn task(&mut self, index: usize, is_done: bool, projects: usize) -> Record {
        let (id, name, at) = (70_000_001 + index, quoted(&self.name(index)), self.past_second());
        let project = project_id(self.chance.index(projects));
        let (active, tracked_ms) = (!is_done, self.chance.below(100_000) * 1000);
        Record::parse(&format!(
            r#"{{"id":{id},"name":{name},"workspace_id":{},"project_id":{project},"user_id":null,"recurring":false,"active":{active},"at":"{at}","server_deleted_at":null,"estimated_seconds":null,"tracked_seconds":{tracked_ms}}}"#,
            self.workspace_id
        ))
    }

    /// The member of the project at this place; the users take turns.
    pub(super) fn project_user(&mut self, index: usize, users: usize) -> Record {
        let (id, project, at) = (9_100_001 + index, project_id(index), self.past_second());
        let user = self.user_at(index % users.max(1));
        Record::parse(&format!(
            r#"{{"id":{id},"project_id":{project},"user_id":{user},"workspace_id":{},"manager":true,"rate":null,"rate_last_updated":null,"labor_cost":null,"labor_cost_last_updated":null,"group_id":null,"gid":null,"at":"{at}"}}"#,
            self.workspace_id
        ))
    }

    /// The membership of a user, with the secrets of every membership.
    pub(super) fn workspace_user(&mut self, index: usize, name: &str) -> Record {
        let (id, uid, at) = (9_000_001 + index, self.user_at(index), self.past_second());
        let (name, admin, wid) = (quoted(name), index == 0, self.workspace_id);
        let (role, time_zone) = (if admin { "admin" } else { "user" }, quoted(&self.time_zone));
        Record::parse(&format!(
            r#"{{"id":{id},"uid":{uid},"wid":{wid},"active":true,"admin":{admin},"at":"{at}","avatar_file_name":null,"email":"user{index}@example.com","group_ids":null,"inactive":false,"is_direct":true,"labor_cost":null,"labor_cost_last_updated":null,"name":{name},"organization_admin":false,"rate":null,"rate_last_updated":null,"role":"{role}","role_id":null,"timezone":{time_zone},"working_hours_in_minutes":null,"workspace_admin":{admin},"2fa_enabled":false,"invite_url":"https://track.toggl.com/invitation/{INVITE_URL}","invitation_code":"{INVITATION_CODE}","view_edit_billable_rates":null,"view_edit_labor_costs":null}}"#
        ))
    }

    fn user_at(&self, index: usize) -> i64 {
        user_id(self.user_id, index)
    }
}

fn client_id(index: usize) -> u64 {
    64_000_000 + index as u64 * 5
}
