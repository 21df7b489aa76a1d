//! The rows of an inventory: one that names its people, and some for each of them, short enough for a
//! message. A row has the same id in the next inventory of the same days, and takes the place of the last.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::batch::Record;
use xxhash_rust::xxh3::xxh3_64;

use super::answer::Group;
use super::days::Days;

/// Ids in a row: some 26 KB.
const ROW_IDS: usize = 2_000;

/// Ids have fifteen digits at most, as everything that the views read as a number.
const MOST_ID: u64 = 1_000_000_000_000_000;

/// Rows that are being made.
#[derive(Debug)]
pub(super) struct Rows {
    user_id: i64,
    days: Days,
    has_ids: bool,
    /// What ids are made of.
    name: String,
    inventory_id: i64,
    people: Vec<Person>,
    records: Vec<Result<Record, serde_json::Error>>,
}

/// Somebody with entries.
#[derive(Debug, Serialize)]
struct Person {
    user_id: Option<i64>,
    rows: usize,
    entries: usize,
    seconds: i64,
}

/// The row that names all people.
#[derive(Serialize)]
struct Whole<'a> {
    id: i64,
    from: String,
    to: String,
    asking_user_id: i64,
    is_admin: bool,
    has_ids: bool,
    fault: Option<&'a str>,
    users: &'a [Person],
}

/// A row of one person.
#[derive(Serialize)]
struct Part<'a> {
    id: i64,
    inventory_id: i64,
    user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Piece<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sums: Option<Vec<Sum>>,
}

/// A group of entries, or a part of one: its sum stands at the first.
#[derive(Serialize)]
struct Piece<'a> {
    /// The smallest id of the group.
    key: i64,
    seconds: i64,
    ids: &'a [i64],
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Sum {
    project_id: Option<i64>,
    seconds: i64,
}

impl Rows {
    pub(super) fn new((workspace_id, user_id): (i64, i64), days: Days, has_ids: bool) -> Self {
        let name = format!("{workspace_id}/{}/{user_id}", days.from);
        let inventory_id = id_of(&name);
        let (people, records) = (Vec::new(), Vec::new());
        Self { user_id, days, has_ids, name, inventory_id, people, records }
    }

    pub(super) const fn inventory_id(&self) -> i64 {
        self.inventory_id
    }

    pub(super) fn entries(&self) -> usize {
        self.people.iter().map(|person| person.entries).sum()
    }

    pub(super) fn seconds(&self) -> i64 {
        self.people.iter().map(|person| person.seconds).sum()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The entries of a person, in the order of their ids, so that the next inventory cuts them in the same places.
    pub(super) fn add_person(&mut self, user_id: Option<i64>, mut groups: Vec<Group<'_>>) {
        groups.retain(|group| group.ids.as_ref().is_some_and(|ids| !ids.is_empty()));
        for ids in groups.iter_mut().filter_map(|group| group.ids.as_mut()) {
            ids.sort_unstable();
        }
        groups
            .sort_unstable_by_key(|group| group.ids.as_ref().and_then(|ids| ids.first()).copied());
        let entries = groups.iter().filter_map(|group| group.ids.as_ref()).map(Vec::len).sum();
        let seconds = groups.iter().map(|group| group.seconds).sum();
        if entries == 0 {
            return;
        }
        let before = self.records.len();
        let (mut row, mut room) = (Vec::new(), ROW_IDS);
        for group in &groups {
            let mut ids = group.ids.as_deref().unwrap_or_default();
            let key = ids.first().copied().unwrap_or_default();
            let mut is_first = true;
            while !ids.is_empty() {
                let (now, later) = ids.split_at(room.min(ids.len()));
                let seconds = if is_first { group.seconds } else { 0 };
                let rates = group.rates.filter(|rates| is_first && rates.get() != "null");
                row.push(Piece { key, seconds, ids: now, rates });
                (is_first, ids) = (false, later);
                room -= now.len();
                if room == 0 {
                    self.push(user_id, before, Some(std::mem::take(&mut row)), None);
                    room = ROW_IDS;
                }
            }
        }
        if !row.is_empty() {
            self.push(user_id, before, Some(row), None);
        }
        let rows = self.records.len() - before;
        self.people.push(Person { user_id, rows, entries, seconds });
    }

    /// The sums of a person by project.
    pub(super) fn add_sums(&mut self, user_id: i64, cells: Vec<(Option<i64>, i64)>) {
        let sums = cells.into_iter().map(|(project_id, seconds)| Sum { project_id, seconds });
        let sums: Vec<Sum> = sums.collect();
        let seconds = sums.iter().map(|sum| sum.seconds).sum();
        let before = self.records.len();
        self.push(Some(user_id), before, None, Some(sums));
        self.people.push(Person { user_id: Some(user_id), rows: 1, entries: 0, seconds });
    }

    fn push(
        &mut self,
        user_id: Option<i64>,
        before: usize,
        groups: Option<Vec<Piece<'_>>>,
        sums: Option<Vec<Sum>>,
    ) {
        let place = self.records.len() - before;
        let id = id_of(&format!("{}/{user_id:?}/{place}", self.name));
        let part = Part { id, inventory_id: self.inventory_id, user_id, groups, sums };
        self.records.push(record(id, &part));
    }

    /// All rows; only that of the whole where it proves nothing.
    pub(super) fn into_records(
        self,
        is_admin: bool,
        fault: Option<&str>,
    ) -> serde_json::Result<Vec<Record>> {
        let whole = Whole {
            id: self.inventory_id,
            from: self.days.from.to_string(),
            to: self.days.to.to_string(),
            asking_user_id: self.user_id,
            is_admin,
            has_ids: self.has_ids,
            fault,
            users: &self.people,
        };
        let whole = record(self.inventory_id, &whole);
        self.records.into_iter().chain([whole]).collect()
    }
}

fn record(source_id: i64, row: &impl Serialize) -> serde_json::Result<Record> {
    Ok(Record {
        source_id,
        workspace_id: None,
        modified_at: None,
        started_at: None,
        user_id: None,
        deleted_at: None,
        data: Bytes::from(serde_json::to_vec(row)?),
    })
}

fn id_of(name: &str) -> i64 {
    i64::try_from(xxh3_64(name.as_bytes()) % MOST_ID).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::civil::date;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn rows() -> Rows {
        let days = Days { from: date(2024, 1, 1), to: date(2024, 12, 30) };
        Rows::new((3, 17), days, true)
    }

    fn values(rows: Rows) -> Vec<Value> {
        let records = rows.into_records(true, None).unwrap();
        records.iter().map(|record| serde_json::from_slice(&record.data).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn whatever_the_groups_every_id_and_second_is_in_one_row_of_bearable_length(
            sizes in prop::collection::vec(1_usize..5_000, 1..8)
        ) {
            let mut next = 0;
            let groups: Vec<Group<'_>> = sizes.iter().zip(1..).map(|(size, seconds)| {
                let ids = (next..next + i64::try_from(*size).unwrap()).rev().collect::<Vec<_>>();
                next += i64::try_from(*size).unwrap();
                Group { seconds, ids: Some(ids), rates: None }
            }).collect();
            let mut rows = rows();
            rows.add_person(Some(5), groups);
            let values = values(rows);
            let (whole, parts) = values.split_last().unwrap();
            let mut seconds: BTreeMap<i64, i64> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for part in parts {
                let pieces = part["groups"].as_array().unwrap();
                let mut length = 0;
                for piece in pieces {
                    *seconds.entry(piece["key"].as_i64().unwrap()).or_default() += piece["seconds"].as_i64().unwrap();
                    for id in piece["ids"].as_array().unwrap() {
                        prop_assert!(ids.insert(id.as_i64().unwrap()));
                        length += 1;
                    }
                }
                prop_assert!(length <= ROW_IDS);
                prop_assert_eq!(&part["inventory_id"], &whole["id"]);
            }
            let expected: Vec<i64> = (1..).take(sizes.len()).collect();
            prop_assert_eq!(seconds.into_values().collect::<Vec<_>>(), expected);
            prop_assert_eq!(ids, (0..next).collect::<BTreeSet<_>>());
            prop_assert_eq!(&whole["users"][0]["rows"], parts.len());
            prop_assert_eq!(&whole["users"][0]["entries"], next);
        }
    }

    #[test]
    fn the_next_inventory_of_the_same_days_has_the_same_ids() {
        let groups = || vec![Group { seconds: 5, ids: Some(vec![1, 2]), rates: None }];
        let ids = |user_id| {
            let mut rows = rows();
            rows.add_person(Some(user_id), groups());
            values(rows).into_iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(5), ids(5));
        assert_ne!(ids(5)[0], ids(6)[0]);
        assert_eq!(ids(5)[1], ids(6)[1]);
    }
}
