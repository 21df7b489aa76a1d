//! Records of lists that others name by their ids: an entry its project, a project its client.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::batch::Record;
use shared::catalogue;
use shared::resource::Resource;

/// The lists that are named.
const PROJECTS: &str = "projects";
const CLIENTS: &str = "clients";
const TAGS: &str = "tags";
const TASKS: &str = "tasks";

/// Whether records of others name those of this list.
pub(super) fn is_named(resource: &Resource) -> bool {
    [PROJECTS, CLIENTS, TAGS, TASKS].contains(&resource.name)
}

/// Ids by workspace and list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named(BTreeMap<(i64, &'static str), BTreeSet<i64>>);

/// What a record names; of another form it names nothing.
#[derive(Debug, Default, Deserialize)]
struct Names {
    project_id: Option<i64>,
    task_id: Option<i64>,
    client_id: Option<i64>,
    cid: Option<i64>,
    #[serde(default)]
    tag_ids: Option<Vec<i64>>,
}

impl Named {
    /// Notes what a live record of a workspace names.
    pub(super) fn note(&mut self, workspace_id: i64, record: &Record) {
        if record.deleted_at.is_some() {
            return;
        }
        let names: Names = serde_json::from_slice(&record.data).unwrap_or_default();
        let mut add = |list, ids: &mut dyn Iterator<Item = i64>| {
            for id in ids {
                self.0.entry((workspace_id, list)).or_default().insert(id);
            }
        };
        add(PROJECTS, &mut names.project_id.into_iter());
        add(TASKS, &mut names.task_id.into_iter());
        add(CLIENTS, &mut names.client_id.or(names.cid).into_iter());
        add(TAGS, &mut names.tag_ids.unwrap_or_default().into_iter());
    }

    pub(super) fn of(&self, workspace_id: i64, resource: &Resource) -> BTreeSet<i64> {
        self.0.get(&(workspace_id, resource.name)).cloned().unwrap_or_default()
    }

    /// The workspaces whose records are named.
    pub(super) fn workspace_ids(&self) -> BTreeSet<i64> {
        self.0.keys().map(|(workspace_id, _)| *workspace_id).collect()
    }
}

/// The lists that are named, each after those whose records name its own.
pub(super) fn lists() -> impl Iterator<Item = &'static Resource> {
    [TASKS, PROJECTS, CLIENTS, TAGS].into_iter().filter_map(catalogue::find)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str, is_deleted: bool) -> Record {
        Record {
            source_id: 1,
            workspace_id: None,
            modified_at: None,
            started_at: None,
            user_id: None,
            deleted_at: is_deleted.then_some(jiff::Timestamp::UNIX_EPOCH),
            data: json.to_owned().into(),
        }
    }

    fn named(json: &str, is_deleted: bool) -> Vec<(i64, &'static str, Vec<i64>)> {
        let mut named = Named::default();
        named.note(7, &record(json, is_deleted));
        let all = named.0.into_iter();
        all.map(|((id, list), ids)| (id, list, ids.into_iter().collect())).collect()
    }

    #[test]
    fn an_entry_names_its_project_task_and_tags_and_a_project_its_client() {
        let entry = r#"{"id":1,"project_id":3,"task_id":4,"tag_ids":[6,5],"start":"x"}"#;
        let expected = [(7, PROJECTS, vec![3]), (7, TAGS, vec![5, 6]), (7, TASKS, vec![4])];
        assert_eq!(named(entry, false), expected);
        assert_eq!(named(r#"{"id":3,"client_id":9,"cid":9}"#, false), [(7, CLIENTS, vec![9])]);
    }

    #[test]
    fn what_is_deleted_without_names_or_of_another_form_names_nothing() {
        assert_eq!(named(r#"{"project_id":3}"#, true), []);
        for none in [r#"{"project_id":null,"tag_ids":null}"#, r#"{"project_id":"x"}"#, "[]"] {
            assert_eq!(named(none, false), [], "{none}");
        }
    }
}
