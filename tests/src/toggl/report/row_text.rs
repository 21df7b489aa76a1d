//! Writing the rows of a report, a thousand of them in milliseconds: an entry's own values are
//! copied as they stand, and of its times only what differs from the last is written.

use std::collections::HashMap;
use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::listing::Row;
use super::local_times::LocalTimes;
use crate::toggl::account::Account;
use crate::toggl::record::quoted;
use crate::toggl::time_entries::{Places, TimeEntry};

/// Everybody's rate for what is billable.
pub(super) const HOURLY_RATE_IN_CENTS: u64 = 12_050;

/// What amounts and seconds depend on.
#[derive(Debug)]
pub(super) struct Figures {
    /// Of all amounts, as JSON.
    pub(super) currency: String,
    pub(super) hides_amounts: bool,
    /// Seconds of entries are rounded up to a multiple of this.
    pub(super) rounding_s: Option<u64>,
    pub(super) now_s: i64,
}

#[derive(Debug)]
pub(super) struct RowWriter<'a> {
    account: &'a Account,
    workspace_id: i64,
    figures: Figures,
    people: HashMap<i64, Person>,
    utc: LocalTimes,
}

/// Whose entries a page shows, looked up once.
#[derive(Debug)]
struct Person {
    name: String,
    times: LocalTimes,
}

/// What the entries of a row have in common, beside the user, as it stands in their texts.
pub(super) fn common(entry: &TimeEntry) -> ([&str; 4], bool) {
    let Places { project_id, task_id, description, tag_ids } = entry.places;
    let places = [project_id, task_id, description, tag_ids];
    (places.map(|place| entry.value(place)), entry.is_billable)
}

impl Figures {
    /// Of a running entry, the seconds so far.
    fn seconds(&self, entry: &TimeEntry) -> u64 {
        let seconds = if entry.is_running { self.now_s - entry.start_s } else { entry.duration_s };
        let seconds = u64::try_from(seconds).unwrap_or(0);
        self.rounding_s.map_or(seconds, |step| seconds.next_multiple_of(step))
    }

    /// Null where they are hidden or nothing is billed.
    fn amount_and_rate(&self, is_billable: bool, seconds: u64) -> [String; 2] {
        if is_billable && !self.hides_amounts {
            [seconds * HOURLY_RATE_IN_CENTS / 3600, HOURLY_RATE_IN_CENTS].map(|n| n.to_string())
        } else {
            ["null", "null"].map(str::to_owned)
        }
    }
}

impl<'a> RowWriter<'a> {
    pub(super) fn new(account: &'a Account, workspace_id: i64, figures: Figures) -> Self {
        let utc = LocalTimes::of(TimeZone::UTC);
        Self { account, workspace_id, figures, people: HashMap::new(), utc }
    }

    /// The row in Toggl's order of keys.
    pub(super) fn text(&mut self, number: usize, row: &Row<'_>) -> String {
        let user_id = row.first().user_id;
        let person = self.people.entry(user_id).or_insert_with(|| Person {
            name: quoted(&self.account.name_of(self.workspace_id, user_id)),
            times: LocalTimes::of(self.account.time_zone_of(user_id).clone()),
        });
        let mut entries = String::with_capacity(200);
        let mut sum_s = 0;
        for entry in row.entries() {
            let seconds = self.figures.seconds(entry);
            sum_s += seconds;
            if !entries.is_empty() {
                entries.push(',');
            }
            push_entry(&mut entries, entry, seconds, &mut person.times, &mut self.utc);
        }
        let ([project_id, task_id, description, tag_ids], billable) = common(row.first());
        let [amount, rate] = self.figures.amount_and_rate(billable, sum_s);
        let (currency, name) = (&self.figures.currency, &person.name);
        format!(
            r#"{{"billable":{billable},"billable_amount_in_cents":{amount},"currency":{currency},"description":{description},"hourly_rate_in_cents":{rate},"project_id":{project_id},"row_number":{number},"tag_ids":{tag_ids},"task_id":{task_id},"time_entries":[{entries}],"user_id":{user_id},"username":{name}}}"#
        )
    }
}

fn push_entry(
    text: &mut String,
    entry: &TimeEntry,
    seconds: u64,
    local: &mut LocalTimes,
    utc: &mut LocalTimes,
) {
    let (at, at_tz, start) =
        (utc.text(entry.at_s), local.text(entry.at_s), local.text(entry.start_s));
    let (at, at_tz, id, start) = (at.as_str(), at_tz.as_str(), entry.id, start.as_str());
    // Writing to a string does not fail.
    write!(
        text,
        r#"{{"at":"{at}","at_tz":"{at_tz}","id":{id},"seconds":{seconds},"start":"{start}","stop":"#
    )
    .unwrap();
    match entry.stop_s {
        Some(stop_s) => write!(text, r#""{}"}}"#, local.text(stop_s).as_str()).unwrap(),
        None => text.push_str("null}"),
    }
}
