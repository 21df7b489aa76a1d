//! An account to look at: a small agency with people, clients, projects and full working days, the same for the
//! same moment. Its names are plain; the hostile ones are those of [`Account::generate`].

mod days;
mod work;

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use self::days::{Day, Slot};
use self::work::{CLIENTS, PEOPLE, PROJECTS, Person, TAGS, Task};
use super::account::{Account, whole_seconds};
use super::list::List;
use super::record::{array_items, with_fields};

const ZONE: &str = "Europe/Berlin";
/// Of the records that never change: long before the first entry.
const FOUNDED: &str = "2024-02-05T08:00:00+00:00";
const CURRENCY: &str = "EUR";
/// The simulator's rate of what is billable.
const HOURLY_RATE: f64 = 120.5;

const FIRST_PERSON_ID: i64 = 2_166_398;
const FIRST_CLIENT_ID: i64 = 64_100_000;
const FIRST_PROJECT_ID: i64 = 180_100_000;
const FIRST_TAG_ID: i64 = 16_100_000;
const FIRST_TASK_ID: i64 = 70_100_000;
const FIRST_MEMBER_ID: i64 = 9_000_100;
const FIRST_ENTRY_ID: i64 = 4_310_000_000;

/// The running timer was started so long ago.
const RUNNING_S: i64 = 40 * 60;

const CLIENT: &str = include_str!("../../fixtures/clients.json");
const PROJECT: &str = include_str!("../../fixtures/projects.json");
const TAG: &str = include_str!("../../fixtures/tags.json");
const USER: &str = include_str!("../../fixtures/users.json");
const TASK: &str = include_str!("../../fixtures/tasks.json");
const MEMBER: &str = include_str!("../../fixtures/workspace_users.json");
const ENTRY: &str = include_str!("../../fixtures/time_entries.json");

impl Account {
    /// Four people of an agency, five clients, nine projects with colours, tasks and tags, and their weekdays of
    /// the last so many days, with lunch breaks and a day off now and then. The token's user has a running timer.
    /// Days that are over are the same whenever one looks.
    ///
    /// # Panics
    ///
    /// If `now` is not of this era.
    pub fn agency(days: u16, now: Timestamp) -> Self {
        let mut account = Self::empty();
        account.found();
        let today = now.in_tz(ZONE).expect("a known time zone").date();
        for (index, person) in PEOPLE.iter().enumerate() {
            let running = (index == 0).then(|| now.as_second() / 300 * 300 - RUNNING_S);
            let end = running.unwrap_or(now.as_second());
            let first = today - i64::from(days).days();
            for date in first.series(1.day()).take_while(|date| *date <= today) {
                account.work(index, person, date, end);
            }
            if let Some(start) = running {
                account.start_timer(today, start);
            }
        }
        account
    }

    /// Everything but the entries.
    fn found(&mut self) {
        let workspace_id = self.workspace_id();
        let own = &PEOPLE[0];
        let me = changed(
            self.me(),
            &json!({"fullname": own.name, "email": own.email(), "timezone": ZONE}),
        );
        self.set_me(&me);
        let workspace = self.workspaces()[0].text().to_owned();
        let named = json!({"name": "Studio North", "default_currency": CURRENCY});
        self.put_workspace(&changed(&workspace, &named));
        for (place, name) in CLIENTS.iter().enumerate() {
            let fields = json!({"id": id(FIRST_CLIENT_ID, place), "name": name, "at": FOUNDED});
            self.put(List::Clients, workspace_id, &like(CLIENT, &fields));
        }
        for (place, name) in TAGS.iter().enumerate() {
            let fields = json!({"id": id(FIRST_TAG_ID, place), "name": name, "at": FOUNDED});
            self.put(List::Tags, workspace_id, &like(TAG, &fields));
        }
        self.put_projects(workspace_id);
        self.put_people(workspace_id);
    }

    fn put_projects(&mut self, workspace_id: i64) {
        let mut tasks = 0;
        for (place, project) in PROJECTS.iter().enumerate() {
            let client = project.client.map(|client| id(FIRST_CLIENT_ID, client));
            let rate = project.is_billable().then_some(HOURLY_RATE);
            let fields = json!({
                "id": id(FIRST_PROJECT_ID, place), "client_id": client, "cid": client, "name": project.name,
                "color": project.color, "billable": project.is_billable(), "rate": rate, "currency": CURRENCY,
                "at": FOUNDED, "created_at": FOUNDED, "start_date": "2024-02-05",
                "tasks_count": project.tasks.len(), "actual_hours": null, "actual_seconds": null,
            });
            self.put(List::Projects, workspace_id, &like(PROJECT, &fields));
            for task in project.tasks {
                let fields = json!({
                    "id": id(FIRST_TASK_ID, tasks), "name": task.name, "project_id": id(FIRST_PROJECT_ID, place),
                    "active": true, "at": FOUNDED, "user_id": null,
                });
                self.put(List::Tasks, workspace_id, &like(TASK, &fields));
                tasks += 1;
            }
        }
    }

    fn put_people(&mut self, workspace_id: i64) {
        for (place, person) in PEOPLE.iter().enumerate() {
            let is_admin = place == 0;
            let role = if is_admin { "admin" } else { "user" };
            let fields = json!({
                "id": id(FIRST_PERSON_ID, place), "email": person.email(), "fullname": person.name,
                "is_admin": is_admin, "role": role,
            });
            self.put(List::Users, workspace_id, &like(USER, &fields));
            let fields = json!({
                "id": id(FIRST_MEMBER_ID, place), "uid": id(FIRST_PERSON_ID, place), "name": person.name,
                "email": person.email(), "admin": is_admin, "workspace_admin": is_admin, "role": role,
                "timezone": ZONE, "at": FOUNDED, "working_hours_in_minutes": person.minutes_a_day,
            });
            self.put(List::WorkspaceUsers, workspace_id, &like(MEMBER, &fields));
        }
    }

    /// What somebody tracked on a day, as far as it was over by then.
    fn work(&mut self, index: usize, person: &Person, date: Date, end: i64) {
        for (place, slot) in Day::of(index, person, date).slots().into_iter().enumerate() {
            let second = |minute: i64| {
                // Of a day on which clocks change, too: they do it at night.
                let noon = date.at(12, 0, 0, 0).in_tz(ZONE).expect("a known time zone").timestamp();
                noon.as_second() + (minute - 12 * 60) * 60
            };
            let (start, stop) = (second(slot.from), second(slot.to));
            if stop <= end {
                let entry_id = entry_id(index, date, place);
                self.put_time_entry(&self.entry(index, entry_id, &slot, start, Some(stop)));
            }
        }
    }

    fn start_timer(&mut self, today: Date, start: i64) {
        let slot = Slot {
            from: 0,
            to: 0,
            project: 0,
            task: &PROJECTS[0].tasks[0],
            words: "Checkout: error states",
        };
        let text = self.entry(0, entry_id(0, today, 99), &slot, start, None);
        self.put_time_entry(&text);
    }

    fn entry(
        &self,
        person: usize,
        entry_id: i64,
        slot: &Slot,
        start: i64,
        stop: Option<i64>,
    ) -> String {
        let project = id(FIRST_PROJECT_ID, slot.project);
        let task = task_id(slot.project, slot.task);
        let user = id(FIRST_PERSON_ID, person);
        let tags = slot.task.tag;
        let fields = json!({
            "id": entry_id, "workspace_id": self.workspace_id(), "wid": self.workspace_id(),
            "project_id": project, "pid": project, "task_id": task, "tid": task,
            "billable": PROJECTS[slot.project].is_billable(), "description": slot.words,
            "start": whole_seconds(start), "stop": stop.map(whole_seconds),
            "duration": stop.map_or(-start, |stop| stop - start),
            "tags": [TAGS[tags]], "tag_ids": [id(FIRST_TAG_ID, tags)], "user_id": user, "uid": user,
            "at": whole_seconds(stop.unwrap_or(start)),
        });
        like(ENTRY, &fields)
    }
}

fn id(first: i64, place: usize) -> i64 {
    first + i64::try_from(place).expect("few of them")
}

/// The tasks of all projects are numbered in their order.
fn task_id(project: usize, task: &Task) -> i64 {
    let before: usize = PROJECTS[..project].iter().map(|project| project.tasks.len()).sum();
    let place = PROJECTS[project].tasks.iter().position(|known| known.name == task.name);
    id(FIRST_TASK_ID, before + place.expect("a task of the project"))
}

fn entry_id(person: usize, date: Date, place: usize) -> i64 {
    let days = days::number(date);
    id(FIRST_ENTRY_ID + days * 1_000, person * 100 + place)
}

/// The first record of a fixture with other values.
fn like(fixture: &str, fields: &Value) -> String {
    let record = array_items(fixture).into_iter().next().expect("a record");
    changed(record.get(), fields)
}

fn changed(record: &str, fields: &Value) -> String {
    let fields = fields.as_object().expect("an object");
    let texts: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
    let changes: Vec<_> = texts.iter().map(|(name, value)| (*name, value.as_str())).collect();
    with_fields(record, &changes)
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

#[cfg(test)]
mod tests;
