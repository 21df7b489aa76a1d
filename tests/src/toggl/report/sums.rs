//! What reports sum up: by person and entry, by person and project, and all in one number.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::Listing;
use super::request::{Days, Refusal, Rounding};
use super::row_text::HOURLY_RATE_IN_CENTS;
use crate::toggl::account::Account;
use crate::toggl::behaviour::{Behaviour, SummaryGroups, SummaryIds};
use crate::toggl::list::List;
use crate::toggl::reply::Reply;
use crate::toggl::time_entries::TimeEntry;
use crate::toggl::workspaces::Workspace;

/// Which sums are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::toggl) enum Sum {
    /// `summary/time_entries`: by person, and by groups of entries.
    Users,
    /// `projects/summary`: by person and project.
    Projects,
    /// `search/time_entries/totals`: everything together.
    Totals,
}

/// A workspace, as it is summed up for the token's user.
#[derive(Debug)]
pub(in crate::toggl) struct Sums<'a> {
    pub(in crate::toggl) account: &'a Account,
    pub(in crate::toggl) behaviour: &'a Behaviour,
    pub(in crate::toggl) workspace_id: i64,
    pub(in crate::toggl) workspace: Workspace,
}

#[derive(Debug, Deserialize)]
struct Body {
    start_date: Option<String>,
    end_date: Option<String>,
    #[serde(default)]
    user_ids: Vec<i64>,
    grouping: Option<String>,
    sub_grouping: Option<String>,
    #[serde(default)]
    include_time_entry_ids: bool,
    rounding: Option<i64>,
    rounding_minutes: Option<u32>,
    /// What the simulator does not know, and would answer wrongly.
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

/// Entries that stand together.
#[derive(Default)]
struct Group {
    seconds: u64,
    billable_seconds: u64,
    ids: Vec<i64>,
}

impl Sums<'_> {
    pub(in crate::toggl) fn reply(&self, sum: Sum, body: &[u8]) -> Result<Reply, Refusal> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(format!("JSON is not valid: {error}")))?;
        if let Some(name) = body.others.keys().next() {
            let message = format!("not simulated: {name}");
            return Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, message });
        }
        let days = Days::between(body.start_date.as_deref(), body.end_date.as_deref())?;
        let listing = Listing {
            account: self.account,
            workspace_id: self.workspace_id,
            only_user_id: (!self.workspace.is_admin()).then(|| self.account.user_id()),
            user_ids: &body.user_ids,
            time_entry_ids: &[],
            windows: days.windows(self.account),
            shows_running: false,
            is_descending: false,
            is_by_description: false,
            row_length: 1,
        };
        let entries = listing.entries(None);
        let answer = match sum {
            Sum::Users => self.users(&body, entries)?,
            Sum::Projects => Self::projects(entries),
            Sum::Totals => self.totals(&body, entries),
        };
        Ok(Reply::ok(answer.to_string()).with_all(days.headers()))
    }

    /// Rounded by the user's preferences, unless 0 and 0 are asked for.
    fn seconds(&self, body: &Body, entry: &TimeEntry) -> u64 {
        let rounding = Rounding { rounding: body.rounding, minutes: body.rounding_minutes };
        let seconds = u64::try_from(entry.duration_s).unwrap_or(0);
        let minutes = rounding.minutes(self.behaviour.report_rounding_minutes);
        minutes.map_or(seconds, |minutes| seconds.next_multiple_of(u64::from(minutes) * 60))
    }

    fn users<'e>(
        &self,
        body: &Body,
        entries: impl Iterator<Item = &'e TimeEntry>,
    ) -> Result<Value, Refusal> {
        let grouping = (body.grouping.as_deref(), body.sub_grouping.as_deref());
        if grouping != (Some("users"), Some("time_entries")) {
            let message = format!("not simulated: grouping {grouping:?}");
            return Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, message });
        }
        // People without entries stand in it, too.
        let people = self.account.records(List::Users, self.workspace_id).iter();
        let people = people.filter(|_| self.workspace.is_admin());
        let mut users: BTreeMap<i64, BTreeMap<(String, i64), Group>> =
            people.map(|user| (user.id(), BTreeMap::new())).collect();
        for entry in entries {
            let title = match self.behaviour.summary_groups {
                SummaryGroups::ByTitle => (entry.value(entry.places.description).to_owned(), 0),
                SummaryGroups::OfOne => {
                    (entry.value(entry.places.description).to_owned(), entry.id)
                }
            };
            let group = users.entry(entry.user_id).or_default().entry(title).or_default();
            let seconds = self.seconds(body, entry);
            group.seconds += seconds;
            group.billable_seconds += if entry.is_billable { seconds } else { 0 };
            group.ids.push(entry.id);
        }
        let groups = users.into_iter().map(|(user_id, groups)| {
            let most = self.behaviour.summary_cap.unwrap_or(usize::MAX);
            let groups = groups.into_iter().take(most);
            let groups: Vec<Value> =
                groups.map(|((title, _), group)| self.group(body, &title, &group)).collect();
            let sub_groups = if groups.is_empty() { Value::Null } else { groups.into() };
            json!({"id": user_id, "sub_groups": sub_groups})
        });
        Ok(json!({"groups": groups.collect::<Vec<_>>()}))
    }

    fn group(&self, body: &Body, title: &str, group: &Group) -> Value {
        let title: Value = serde_json::from_str(title).expect("a description");
        let mut value = json!({"id": null, "title": title, "seconds": group.seconds});
        if body.include_time_entry_ids && self.behaviour.summary_ids == SummaryIds::Told {
            value["ids"] = json!(group.ids);
        }
        if group.billable_seconds > 0 {
            value["rates"] = json!([{
                "billable_seconds": group.billable_seconds,
                "currency": self.workspace.currency(),
                "hourly_rate_in_cents": HOURLY_RATE_IN_CENTS,
            }]);
        }
        value
    }

    /// It knows no rounding.
    fn projects<'e>(entries: impl Iterator<Item = &'e TimeEntry>) -> Value {
        let mut cells: BTreeMap<(i64, &str), (i64, i64)> = BTreeMap::new();
        for entry in entries {
            let cell = (entry.user_id, entry.value(entry.places.project_id));
            let (seconds, billable) = cells.entry(cell).or_default();
            *seconds += entry.duration_s;
            *billable += if entry.is_billable { entry.duration_s } else { 0 };
        }
        let cells = cells.into_iter().map(|((user_id, project_id), (seconds, billable))| {
            let project_id: Value = serde_json::from_str(project_id).expect("a project's id");
            let mut cell = json!({
                "billable_seconds": billable, "tracked_seconds": seconds, "user_id": user_id
            });
            if !project_id.is_null() {
                cell["project_id"] = project_id;
            }
            cell
        });
        cells.collect()
    }

    fn totals<'e>(&self, body: &Body, entries: impl Iterator<Item = &'e TimeEntry>) -> Value {
        let mut days: Vec<i64> = Vec::new();
        let mut sum = 0;
        for entry in entries {
            sum += self.seconds(body, entry);
            days.push(entry.start_s.div_euclid(86_400));
        }
        days.dedup();
        json!({"graph": [], "rates": [], "resolution": "month", "seconds": sum, "tracked_days": days.len()})
    }
}
