//! What each endpoint answers out of the account.

use std::collections::HashMap;

use axum::http::StatusCode;
use jiff::Timestamp;

use super::account::Account;
use super::behaviour::Behaviour;
use super::endpoint::Endpoint;
use super::entry_query::{Horizon, unix_seconds};
use super::list::List;
use super::pages::{Shown, rows_of_page};
use super::quota::Standing;
use super::record::Record;
use super::reply::Reply;
use super::report::{Refusal, Report, ReportRequest, Sum, Sums};
use super::time_entries::EntryFilter;

/// Page size of `/projects` when none is asked for.
const DEFAULT_PAGE_SIZE: usize = 151;
/// Page size of `/tasks` when none is asked for.
const DEFAULT_TASK_PAGE_SIZE: usize = 50;
/// The most records a page has, whatever is asked for.
const MAX_PAGE_SIZE: usize = 200;

/// Answers one request that was let in.
#[derive(Debug)]
pub(super) struct Resources<'a> {
    pub(super) account: &'a Account,
    pub(super) behaviour: &'a Behaviour,
    pub(super) query: HashMap<String, String>,
    pub(super) body: &'a [u8],
    /// Each organisation's, and of none the `/me` bucket's.
    pub(super) quotas: Vec<(Option<i64>, Standing)>,
}

impl Resources<'_> {
    pub(super) fn reply(&self, endpoint: Endpoint) -> Reply {
        if self.behaviour.glitch && endpoint.is_list() {
            return Reply::ok("null");
        }
        match endpoint {
            Endpoint::Me => Reply::ok(self.account.me().to_owned()),
            Endpoint::Quota => self.quota(),
            Endpoint::Organizations => self.list(self.account.organizations().iter()),
            Endpoint::Workspaces | Endpoint::MyWorkspaces => {
                self.list(self.account.workspaces().iter())
            }
            Endpoint::Workspace(id) => self.workspace(id),
            Endpoint::List(list, workspace_id) => self.workspace_list(list, workspace_id),
            Endpoint::TimeEntries => self.time_entries(),
            Endpoint::CurrentTimeEntry => self.current_time_entry(),
            Endpoint::Report(workspace_id) => self.report(workspace_id),
            Endpoint::Sums(sum, workspace_id) => self.sums(sum, workspace_id),
            // Answered where the calls are made.
            Endpoint::WebhookLimits(_)
            | Endpoint::Subscriptions(_)
            | Endpoint::Subscription(..)
            | Endpoint::SubscriptionEvents(..)
            | Endpoint::SubscriptionPing(..) => no_access(),
        }
    }

    fn quota(&self) -> Reply {
        let items = self.quotas.iter().map(|(organization_id, standing)| {
            let id = organization_id.map_or_else(|| "null".to_owned(), |id| id.to_string());
            format!(
                r#"{{"organization_id":{id},"remaining":{},"total":{},"resets_in_secs":{}}}"#,
                standing.remaining, standing.total, standing.resets_in_s
            )
        });
        Reply::ok(format!("[{}]", items.collect::<Vec<_>>().join(",")))
    }

    fn workspace(&self, id: i64) -> Reply {
        match self.account.workspaces().iter().find(|workspace| workspace.id() == id) {
            Some(workspace) => Reply::ok(workspace.text().to_owned()),
            None => no_access(),
        }
    }

    fn workspace_list(&self, list: List, workspace_id: i64) -> Reply {
        if self.account.workspaces().iter().all(|workspace| workspace.id() != workspace_id) {
            return no_access();
        }
        let since =
            match self.query.get("since").map(|text| unix_seconds("since", text)).transpose() {
                Ok(since) => since.filter(|_| list.has_since()),
                Err(message) => return Reply::refusal(StatusCode::BAD_REQUEST, &message),
            };
        let records = self.records(list, workspace_id, since);
        match list {
            List::Tasks => self.envelope(&records),
            List::Projects => self.list(self.page(&records, DEFAULT_PAGE_SIZE, None)),
            List::Tags if self.query.contains_key("per_page") => {
                self.list(self.page(&records, DEFAULT_PAGE_SIZE, self.behaviour.list_cap))
            }
            _ => self.list(self.chunk(&records)),
        }
    }

    /// The records that are asked for, in Toggl's order; with `since` those that have changed, and what
    /// was deleted.
    fn records(&self, list: List, workspace_id: i64, since: Option<Timestamp>) -> Vec<&Record> {
        let records = self.account.records(list, workspace_id).iter();
        let wanted = match list {
            List::Projects | List::Tasks => self.shown("active", ["true", "false", "both"]),
            List::Clients => self.shown("status", ["active", "archived", "both"]),
            _ => Shown::All,
        };
        let live = records.filter(|record| wanted.lets_through(record));
        let Some(since) = since else {
            return live.collect();
        };
        let changed = |record: &&Record| record.at_s().is_some_and(|at| at >= since.as_second());
        let all = live.chain(self.account.deleted(list, workspace_id));
        let mut changed: Vec<&Record> = all.filter(changed).collect();
        changed.sort_by(|one, other| one.order().cmp(&other.order()));
        changed
    }

    /// What a parameter, whose values mean active, archived and all, lets through. Toggl hides the
    /// archived ones by default.
    fn shown(&self, parameter: &str, [_, archived, all]: [&str; 3]) -> Shown {
        match self.query.get(parameter) {
            Some(value) if value == all => Shown::All,
            Some(value) if value == archived => Shown::Archived,
            _ => Shown::Active,
        }
    }

    /// A page in an object that tells how many records there are; `data` is null without any.
    fn envelope(&self, records: &[&Record]) -> Reply {
        let shown = self.page(records, DEFAULT_TASK_PAGE_SIZE, None);
        let texts: Vec<&str> = shown.map(Record::text).collect();
        let data =
            if texts.is_empty() { "null".to_owned() } else { format!("[{}]", texts.join(",")) };
        let (page, size) = (self.page_number(), self.page_size(DEFAULT_TASK_PAGE_SIZE, None));
        Reply::ok(format!(
            r#"{{"data":{data},"page":{page},"per_page":{size},"sort_field":"name","sort_order":"ASC","total_count":{}}}"#,
            records.len()
        ))
    }

    fn page<'r>(
        &self,
        records: &[&'r Record],
        default_size: usize,
        cap: Option<usize>,
    ) -> impl Iterator<Item = &'r Record> {
        let (page, size) = (self.page_number(), self.page_size(default_size, cap));
        rows_of_page(records, page, size, self.behaviour.short_page)
    }

    /// All of a list without pages, or as much of it as Toggl gives out.
    fn chunk<'r>(&self, records: &[&'r Record]) -> impl Iterator<Item = &'r Record> {
        let all = (1, usize::MAX);
        let (page, size) = self.behaviour.list_cap.map_or(all, |cap| (self.page_number(), cap));
        rows_of_page(records, page, size, None)
    }

    fn page_number(&self) -> usize {
        self.number("page").unwrap_or(1)
    }

    fn page_size(&self, default_size: usize, cap: Option<usize>) -> usize {
        let size = self.number("per_page").unwrap_or(default_size);
        let caps = [Some(MAX_PAGE_SIZE), self.behaviour.page_cap, cap];
        caps.into_iter().flatten().fold(size, usize::min)
    }

    fn number(&self, name: &str) -> Option<usize> {
        let number = self.query.get(name).and_then(|text| text.parse::<usize>().ok());
        number.filter(|number| *number > 0)
    }

    fn list<'r>(&self, records: impl Iterator<Item = &'r Record>) -> Reply {
        Reply::list(records.map(Record::text), self.behaviour.empty_lists_as_null)
    }

    fn time_entries(&self) -> Reply {
        let horizon = Horizon {
            now: self.behaviour.now(),
            time_zone: self.account.time_zone(),
            months: self.behaviour.entry_months,
        };
        match horizon.filter(&self.query) {
            Err(message) => Reply::refusal(StatusCode::BAD_REQUEST, &message),
            Ok(filter) => {
                let entries = self.account.visible_entries(filter).take(self.behaviour.entry_cap);
                let texts = entries.map(super::TimeEntry::text);
                Reply::list(texts, self.behaviour.empty_lists_as_null)
            }
        }
    }

    fn report(&self, workspace_id: i64) -> Reply {
        let Some(workspace) = self.account.workspace(workspace_id) else {
            return no_access();
        };
        match ReportRequest::parse(self.body) {
            Err(Refusal { status, message }) => Reply::refusal(status, &message),
            Ok(request) => {
                let (account, behaviour) = (self.account, self.behaviour);
                Report { account, behaviour, workspace_id, workspace, request }.reply()
            }
        }
    }

    fn sums(&self, sum: Sum, workspace_id: i64) -> Reply {
        let Some(workspace) = self.account.workspace(workspace_id) else {
            return no_access();
        };
        let (account, behaviour) = (self.account, self.behaviour);
        match (Sums { account, behaviour, workspace_id, workspace }).reply(sum, self.body) {
            Err(Refusal { status, message }) => Reply::refusal(status, &message),
            Ok(reply) => reply,
        }
    }

    fn current_time_entry(&self) -> Reply {
        let mut entries = self.account.visible_entries(EntryFilter::default());
        let running = entries.find(|entry| entry.is_running);
        Reply::ok(running.map_or("null", super::TimeEntry::text).to_owned())
    }
}

pub(super) fn no_access() -> Reply {
    // Toggl's wording for this case is not recorded.
    Reply::refusal(StatusCode::FORBIDDEN, "You do not have access to this workspace")
}
