//! The hours of an account by a small model: each entry is cut at local midnight, and every piece counted.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use tests::toggl::{Account, List};

/// Seconds of one entry on one local day.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) day: Date,
    pub(super) seconds: i64,
    pub(super) is_billable: bool,
    pub(super) entry_id: i64,
    pub(super) user: String,
    pub(super) project: Option<String>,
    pub(super) client: Option<String>,
    pub(super) task: Option<String>,
    pub(super) tags: Vec<String>,
}

impl Piece {
    /// The values of a dimension, as JSON has them: several of tags, none where it has none.
    pub(super) fn of(&self, dimension: &str) -> Vec<Option<String>> {
        match dimension {
            "user" => vec![Some(self.user.clone())],
            "project" => vec![self.project.clone()],
            "client" => vec![self.client.clone()],
            "task" => vec![self.task.clone()],
            "billable" => vec![Some(self.is_billable.to_string())],
            "day" => vec![Some(self.day.to_string())],
            "week" => {
                let days = self.day.weekday().to_monday_zero_offset();
                vec![Some((self.day - i64::from(days).days()).to_string())]
            }
            "month" => vec![Some(self.day.strftime("%Y-%m").to_string())],
            "tag" if self.tags.is_empty() => vec![None],
            "tag" => self.tags.iter().cloned().map(Some).collect(),
            other => panic!("{other}"),
        }
    }
}

/// All pieces of all entries that are neither running nor deleted, by the clock of a zone.
pub(super) fn pieces(account: &Account, zone: &str) -> Vec<Piece> {
    let zone = TimeZone::get(zone).unwrap();
    let entries = account.time_entries().filter(|entry| !entry.is_running() && !entry.is_deleted());
    entries
        .flat_map(|entry| cut(account, &serde_json::from_str(entry.text()).unwrap(), &zone))
        .collect()
}

fn cut(account: &Account, entry: &Value, zone: &TimeZone) -> Vec<Piece> {
    let at = |field: &str| entry[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (mut from, stop) = (at("start"), at("stop"));
    let workspace = account.workspace_id();
    let found = |list: List, id: &Value| -> Option<Value> {
        let record = account
            .records(list, workspace)
            .iter()
            .find(|record| Some(record.id()) == id.as_i64())?;
        Some(serde_json::from_str(record.text()).unwrap())
    };
    let name =
        |record: &Option<Value>, field: &str| Some(record.as_ref()?[field].as_str()?.to_owned());
    let project = found(List::Projects, &entry["project_id"]);
    let client = project.as_ref().and_then(|project| found(List::Clients, &project["client_id"]));
    let mut pieces = Vec::new();
    while from < stop {
        let day = from.to_zoned(zone.clone()).date();
        let midnight = day.tomorrow().unwrap().to_zoned(zone.clone()).unwrap().timestamp();
        let to = stop.min(midnight);
        pieces.push(Piece {
            day,
            seconds: to.as_second() - from.as_second(),
            is_billable: entry["billable"].as_bool().unwrap(),
            entry_id: entry["id"].as_i64().unwrap(),
            user: name(&found(List::Users, &entry["user_id"]), "fullname").unwrap(),
            project: name(&project, "name"),
            client: name(&client, "name"),
            task: name(&found(List::Tasks, &entry["task_id"]), "name"),
            tags: serde_json::from_value(entry["tags"].clone()).unwrap(),
        });
        from = to;
    }
    pieces
}

/// Seconds, billable seconds and entries by the values of the dimensions.
pub(super) type Sums = BTreeMap<Vec<Option<String>>, (i64, i64, usize)>;

pub(super) fn summed(pieces: &[Piece], by: &[&str]) -> Sums {
    let mut sums: BTreeMap<_, (i64, i64, std::collections::BTreeSet<i64>)> = BTreeMap::new();
    for piece in pieces {
        let mut keys = vec![Vec::new()];
        for dimension in by {
            let longer = keys.iter().flat_map(|key: &Vec<Option<String>>| {
                piece.of(dimension).into_iter().map(|value| {
                    let mut longer = key.clone();
                    longer.push(value);
                    longer
                })
            });
            keys = longer.collect();
        }
        for key in keys {
            let sum = sums.entry(key).or_default();
            sum.0 += piece.seconds;
            sum.1 += if piece.is_billable { piece.seconds } else { 0 };
            sum.2.insert(piece.entry_id);
        }
    }
    sums.into_iter()
        .map(|(key, (seconds, billable, ids))| (key, (seconds, billable, ids.len())))
        .collect()
}

/// Seconds in hours.
pub(super) fn hours(seconds: i64) -> f64 {
    f64::from(i32::try_from(seconds).unwrap()) / 3600.0
}
