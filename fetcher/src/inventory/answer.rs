//! What Toggl answers to whoever asks for sums.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rows::Rows;

/// `summary/time_entries`: by person, and by groups of entries. Everything else that it says, such as the
/// descriptions, stands in the entries themselves.
#[derive(Debug, Deserialize)]
pub(super) struct Summary<'a> {
    #[serde(borrow)]
    groups: Vec<Person<'a>>,
}

#[derive(Debug, Deserialize)]
struct Person<'a> {
    id: Option<i64>,
    /// Null where the person has no entries.
    #[serde(borrow)]
    sub_groups: Option<Vec<Group<'a>>>,
}

/// Entries that stand together, as those of one description.
#[derive(Debug, Deserialize)]
pub(super) struct Group<'a> {
    pub(super) seconds: i64,
    #[serde(default)]
    pub(super) ids: Option<Vec<i64>>,
    /// What of it is billable, and at which rates.
    #[serde(borrow, default)]
    pub(super) rates: Option<&'a RawValue>,
}

/// `projects/summary`: by person and project.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Cells(Vec<Cell>);

#[derive(Debug, Deserialize)]
struct Cell {
    user_id: i64,
    project_id: Option<i64>,
    tracked_seconds: i64,
}

/// `search/time_entries/totals`: everything together.
#[derive(Debug, Deserialize)]
pub(super) struct Totals {
    pub(super) seconds: i64,
}

impl<'a> Summary<'a> {
    pub(super) fn read(body: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    /// Whether it tells of every group which entries it is.
    pub(super) fn has_ids(&self) -> bool {
        let mut groups =
            self.groups.iter().filter_map(|person| person.sub_groups.as_ref()).flatten();
        groups.all(|group| {
            group.ids.as_ref().is_some_and(|ids| !ids.is_empty() || group.seconds == 0)
        })
    }

    /// Makes rows of it, or says why it proves nothing.
    pub(super) fn fill(self, rows: &mut Rows) -> Result<(), String> {
        let mut ids: Vec<i64> = Vec::new();
        for person in self.groups {
            let groups = person.sub_groups.unwrap_or_default();
            let told = groups.iter().filter_map(|group| group.ids.as_ref()).flatten();
            ids.extend(told);
            rows.add_person(person.id, groups);
        }
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(twice) => Err(format!("it names entry {} twice", twice.first().unwrap_or(&0))),
            None => Ok(()),
        }
    }
}

impl Cells {
    pub(super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body)
    }

    pub(super) fn fill(self, rows: &mut Rows) {
        let mut people: HashMap<i64, Vec<(Option<i64>, i64)>> = HashMap::new();
        for Cell { user_id, project_id, tracked_seconds } in self.0 {
            people.entry(user_id).or_default().push((project_id, tracked_seconds));
        }
        let mut people: Vec<_> = people.into_iter().collect();
        people.sort_unstable();
        for (user_id, cells) in people {
            rows.add_sums(user_id, cells);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_ids(groups: &str) -> Result<bool, String> {
        let text = format!(r#"{{"groups":{groups}}}"#);
        let summary = Summary::read(text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(summary.has_ids())
    }

    #[test]
    fn ids_are_those_of_all_groups_or_none() {
        for (groups, expected) in [
            ("[]", true),
            (r#"[{"id":7,"sub_groups":null}]"#, true),
            (r#"[{"id":7,"sub_groups":[{"title":"x","seconds":5,"ids":[1]}]}]"#, true),
            (r#"[{"id":7,"sub_groups":[{"seconds":5,"ids":[1]},{"seconds":5}]}]"#, false),
            (r#"[{"id":7,"sub_groups":[{"seconds":5,"ids":[]}]}]"#, false),
            (r#"[{"id":7,"sub_groups":[{"seconds":5,"ids":null}]}]"#, false),
        ] {
            assert_eq!(has_ids(groups), Ok(expected), "{groups}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_refused() {
        for text in [
            "null",
            "[]",
            "{}",
            r#"{"groups":null}"#,
            r#"{"groups":[{"id":7,"sub_groups":[{"ids":[1]}]}]}"#,
            r#"{"groups":[{"id":7,"sub_groups":[{"seconds":1,"ids":["1"]}]}]}"#,
            r#"{"groups":[{"id":7"#,
        ] {
            assert!(Summary::read(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["null", "{}", r#"[{"user_id":7}]"#] {
            assert!(Cells::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
