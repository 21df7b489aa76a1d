//! Which resources a sync reads.

use std::collections::BTreeSet;

use shared::catalogue::{self, CATALOGUE};
use shared::resource::Resource;

/// Everything that a sync can read.
const ALL: &str = "all";
/// What a sync reads without being told.
const DEFAULT: &str = "default";

/// The resources that were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(BTreeSet<&'static str>);

impl Default for Selection {
    fn default() -> Self {
        Self(syncable().filter(|resource| resource.by_default).map(|r| r.name).collect())
    }
}

impl Selection {
    /// `only`, or the default where that is empty, without `skip`.
    ///
    /// # Errors
    /// When nothing is left, in words.
    pub fn new(only: &[Names], skip: &[Names]) -> Result<Self, String> {
        let mut chosen = if only.is_empty() { Self::default().0 } else { BTreeSet::new() };
        chosen.extend(only.iter().flat_map(|names| names.0.iter()));
        for name in skip.iter().flat_map(|names| names.0.iter()) {
            chosen.remove(name);
        }
        if chosen.is_empty() {
            Err("--skip leaves nothing to sync".to_owned())
        } else {
            Ok(Self(chosen))
        }
    }

    /// Whether the resource is chosen.
    pub fn has(&self, resource: &Resource) -> bool {
        self.0.contains(resource.name)
    }

    /// The names, for telling one sync from another.
    pub(crate) fn names(&self) -> String {
        self.0.iter().copied().collect::<Vec<_>>().join(",")
    }
}

/// What one word of `--only` or `--skip` stands for.
#[derive(Debug, Clone)]
pub struct Names(Vec<&'static str>);

impl std::str::FromStr for Names {
    type Err = String;

    /// In any case, and with what a list in quotes leaves at its ends.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        let text = word.to_ascii_lowercase();
        let chosen: Vec<_> = syncable()
            .filter(|resource| match text.as_str() {
                ALL => true,
                DEFAULT => resource.by_default,
                name => resource.name == name,
            })
            .map(|resource| resource.name)
            .collect();
        match chosen.as_slice() {
            [] if let Some(resource) = catalogue::find(&text) => {
                let command = if resource.is_time_entry() { "report" } else { "verify" };
                Err(format!("{text} is read by `fetcher {command}`"))
            }
            [] => {
                let names: Vec<_> = syncable().map(|resource| resource.name).collect();
                Err(format!(
                    "no such resource; there are {}, {ALL} and {DEFAULT}",
                    names.join(", ")
                ))
            }
            _ => Ok(Self(chosen)),
        }
    }
}

/// Reports and inventories have commands of their own.
fn syncable() -> impl Iterator<Item = &'static Resource> {
    CATALOGUE.iter().filter(|resource| resource.is_synced())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(only: &[&str], skip: &[&str]) -> Result<String, String> {
        let parse = |names: &[&str]| -> Result<Vec<Names>, String> {
            names.iter().map(|name| name.parse()).collect()
        };
        Selection::new(&parse(only)?, &parse(skip)?).map(|selection| selection.names())
    }

    #[test]
    fn resources_are_chosen_by_name_or_together() {
        let mission = "clients,groups,me,projects,tags,time_entries,users,workspaces";
        assert_eq!(select(&[], &[]), Ok(mission.to_owned()));
        assert_eq!(select(&["default"], &[]), Ok(mission.to_owned()));
        assert_eq!(select(&["tags", "tasks"], &[]), Ok("tags,tasks".to_owned()));
        assert_eq!(
            select(&["all"], &["default"]),
            Ok("organizations,project_users,tasks,workspace_users".to_owned())
        );
    }

    #[test]
    fn names_are_taken_in_any_case_and_out_of_a_list_in_quotes() {
        assert_eq!(select(&["\"Tags", " TASKS\""], &[]), Ok("tags,tasks".to_owned()));
        assert_eq!(
            select(&["ALL"], &["Default", "organizations", "project_users"]),
            Ok("tasks,workspace_users".to_owned())
        );
    }

    #[test]
    fn what_is_no_resource_is_refused_with_the_names_that_are() {
        assert!(select(&["task"], &[]).unwrap_err().contains("tasks"));
        assert!(select(&["time_entries_report"], &[]).unwrap_err().contains("fetcher report"));
        assert!(select(&["tags"], &["all"]).is_err());
    }
}
