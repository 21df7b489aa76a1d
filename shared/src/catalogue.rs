//! The resource catalogue: THE place to add a resource.
//!
//! Adding one = a row here + a migration + a fixture; tests fail by name until the three agree.
//! Facts about Toggl's fields come from the official API description of Track v9 and recorded
//! answers; see the fixtures.

use crate::resource::{Api, Claim, Key, Paging, Resource, Scope};

/// A workspace list in one answer; rows below state only how they differ.
const WORKSPACE_LIST: Resource = Resource {
    name: "",
    api: Api::V9,
    path: "",
    fallback_path: None,
    query: &[],
    scope: Scope::Workspace,
    paging: Paging::Array,
    lists_changes: false,
    claim: Claim::Ids,
    key: Key::Source,
    id_fields: &["id"],
    modified_field: Some("at"),
    deleted_field: Some("server_deleted_at"),
    started_field: None,
    running_unless: None,
    user_fields: &[],
    workspace_fields: &[],
    holds_secrets: false,
    volatile_fields: &[],
    plan_dependent: false,
    by_default: true,
};

/// Every raw table, masters first.
pub static CATALOGUE: &[Resource] = &[
    Resource {
        name: "me",
        path: "/me",
        scope: Scope::Account,
        paging: Paging::Object,
        claim: Claim::Nothing,
        deleted_field: None,
        holds_secrets: true,
        volatile_fields: &["authorization_updated_at"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "workspaces",
        path: "/workspaces",
        // `/workspaces` is not in the published description; `/me/workspaces` is.
        fallback_path: Some("/me/workspaces"),
        scope: Scope::Account,
        claim: Claim::Gone,
        holds_secrets: true,
        volatile_fields: &["active_project_count", "last_modified"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "projects",
        path: "/workspaces/{workspace}/projects",
        // Without `active=both` archived projects are hidden; 200 is the most a page may hold.
        query: &[("active", "both")],
        paging: Paging::Pages(200),
        lists_changes: true,
        volatile_fields: &["actual_hours", "actual_seconds", "total_count"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "clients",
        path: "/workspaces/{workspace}/clients",
        query: &[("status", "both")],
        volatile_fields: &["total_count"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "tags",
        path: "/workspaces/{workspace}/tags",
        deleted_field: Some("deleted_at"),
        volatile_fields: &["total_count"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "users",
        path: "/workspaces/{workspace}/users",
        key: Key::WorkspaceAndSource,
        modified_field: None,
        deleted_field: None,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "groups",
        path: "/workspaces/{workspace}/groups",
        id_fields: &["id", "group_id"],
        deleted_field: None,
        plan_dependent: true,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "time_entries",
        path: "/me/time_entries",
        scope: Scope::Account,
        paging: Paging::Windows,
        claim: Claim::Starts,
        started_field: Some("start"),
        user_fields: &["user_id", "uid"],
        workspace_fields: &["workspace_id", "wid"],
        ..WORKSPACE_LIST
    },
    Resource {
        name: "time_entries_report",
        api: Api::V3,
        path: "/workspace/{workspace}/search/time_entries",
        paging: Paging::Report,
        claim: Claim::Starts,
        deleted_field: None,
        started_field: Some("start"),
        running_unless: Some("stop"),
        user_fields: &["user_id"],
        by_default: false,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "tasks",
        path: "/workspaces/{workspace}/tasks",
        // As with projects, done ones are hidden without it.
        query: &[("active", "both")],
        paging: Paging::Envelope(200),
        lists_changes: true,
        volatile_fields: &["total_count", "tracked_seconds"],
        plan_dependent: true,
        by_default: false,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "project_users",
        path: "/workspaces/{workspace}/project_users",
        deleted_field: None,
        by_default: false,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "workspace_users",
        path: "/workspaces/{workspace}/workspace_users",
        key: Key::WorkspaceAndSource,
        deleted_field: None,
        holds_secrets: true,
        plan_dependent: true,
        by_default: false,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "organizations",
        path: "/me/organizations",
        scope: Scope::Account,
        claim: Claim::Nothing,
        by_default: false,
        ..WORKSPACE_LIST
    },
    Resource {
        name: "inventories",
        api: Api::V3,
        path: "/workspace/{workspace}/summary/time_entries",
        paging: Paging::Sums,
        claim: Claim::Nothing,
        // An inventory takes the place of the last one of its span.
        key: Key::WorkspaceAndSource,
        modified_field: None,
        deleted_field: None,
        // The history is that of the entries, not that of their sums.
        volatile_fields: &[
            "asking_user_id",
            "fault",
            "groups",
            "has_ids",
            "is_admin",
            "sums",
            "to",
            "users",
        ],
        by_default: false,
        ..WORKSPACE_LIST
    },
];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Resource> {
    CATALOGUE.iter().find(|resource| resource.name == name)
}

/// The rows that are read as whole listings, in the order of the catalogue.
pub fn lists() -> impl Iterator<Item = &'static Resource> {
    CATALOGUE.iter().filter(|resource| resource.is_synced() && !resource.is_time_entry())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_plain_identifiers() {
        let mut seen = HashSet::new();
        for resource in CATALOGUE {
            let mut letters = resource.name.chars();
            assert!(letters.next().is_some_and(|c| c.is_ascii_lowercase()), "{}", resource.name);
            assert!(
                letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{}",
                resource.name
            );
            assert!(seen.insert(resource.name), "{} stands twice", resource.name);
        }
    }

    #[test]
    fn workspace_paths_name_the_workspace_and_others_do_not() {
        for resource in CATALOGUE {
            assert_eq!(
                resource.path.contains("{workspace}"),
                resource.scope == Scope::Workspace,
                "{}",
                resource.name
            );
        }
    }

    #[test]
    fn only_time_entries_claim_starts() {
        for resource in CATALOGUE {
            assert_eq!(
                resource.claim == Claim::Starts,
                resource.is_time_entry(),
                "{}",
                resource.name
            );
        }
    }
}
