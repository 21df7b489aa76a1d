//! What a row of the catalogue says about one Toggl resource.

use std::fmt;

/// What every subject begins with; the resource's name is the rest.
pub const SUBJECT_PREFIX: &str = "toggl_track.raw";

/// The API a resource is read from; its `Display` form is the `api_version` of messages and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Track API v9, below `/api/v9`.
    V9,
    /// Reports API v3, below `/reports/api/v3`.
    V3,
}

impl Api {
    /// As it stands in messages and in the `api_version` column.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V9 => "v9",
            Self::V3 => "v3",
        }
    }

    /// What goes between the host and the path of a resource.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::V9 => "/api/v9",
            Self::V3 => "/reports/api/v3",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

/// Whose data one request returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The token's owner, over all workspaces; batches carry workspace 0.
    Account,
    /// One workspace; its id takes the place of `{workspace}` in the path.
    Workspace,
}

/// How a whole listing is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// One answer holding one object.
    Object,
    /// One answer holding an array (or `null` for an empty one).
    Array,
    /// `page=1,2,…` with this `per_page`, until a page is empty, or not full and the list as long as before.
    Pages(usize),
    /// `page=1,2,…` with this `per_page`, each answer an object whose `data` is the list (or
    /// `null`), until `total_count` records have come.
    Envelope(usize),
    /// By windows of start time, each answer below the server's silent cap.
    Windows,
    /// A report by POST: spans of days, pages by cursor, rows that hold their entries.
    Report,
    /// Sums of a span of days by POST, in one answer; records are made of it, it holds none.
    Sums,
}

/// What a complete listing of the resource may claim about rows it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: what is missing there is more likely an account's trouble than a deletion.
    Nothing,
    /// Nothing, either; but what a record's own account no longer lists, and no other account of this
    /// pipeline either, is said to be gone, by its id alone.
    Gone,
    /// Every id of the workspace.
    Ids,
    /// Every entry that starts in the window, of one user or of the workspace.
    Starts,
}

impl Claim {
    /// Whether complete listings claim anything.
    pub const fn is_by_listing(self) -> bool {
        matches!(self, Self::Ids | Self::Starts)
    }
}

/// The primary key of the raw table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `(source_id)`.
    Source,
    /// `(workspace_id, source_id)`: the same id appears in several workspaces.
    WorkspaceAndSource,
}

/// One raw table: what to ask Toggl for, how to read a record, where it lands.
///
/// `name` is the only identifier; the subject, the table, the consumer, log fields and fixture
/// files derive from it. It matches `^[a-z][a-z0-9_]*$`, which is what makes generated SQL safe.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table: each is a fact of its own")]
pub struct Resource {
    /// The name everything else derives from.
    pub name: &'static str,
    /// Where it is read.
    pub api: Api,
    /// Path below the API's prefix.
    pub path: &'static str,
    /// Asked instead where `path` is refused with 403 or 404.
    pub fallback_path: Option<&'static str>,
    /// Query parameters every request carries.
    pub query: &'static [(&'static str, &'static str)],
    /// Whose data it is.
    pub scope: Scope,
    /// How a listing is read.
    pub paging: Paging,
    /// Whether it takes `since` (seconds since 1970), and answers what was created, changed or deleted since
    /// then: what proves that nothing moved between two pages.
    pub lists_changes: bool,
    /// What a complete listing may claim.
    pub claim: Claim,
    /// Primary key of the table.
    pub key: Key,
    /// Fields that may hold the id, in order of preference.
    pub id_fields: &'static [&'static str],
    /// Field with the time of the last change.
    pub modified_field: Option<&'static str>,
    /// Field that says when the record was deleted.
    pub deleted_field: Option<&'static str>,
    /// Field with the start of a time entry; such tables have `started_at` and `user_id`.
    pub started_field: Option<&'static str>,
    /// Field that is null while an entry runs, where listings do not show running entries
    /// dependably: such a record carries no start, so that no claim covers it.
    pub running_unless: Option<&'static str>,
    /// Fields with the user of a time entry, in order of preference.
    pub user_fields: &'static [&'static str],
    /// Fields with the record's own workspace, in order of preference, where an account-level
    /// request returns records of several workspaces.
    pub workspace_fields: &'static [&'static str],
    /// Whether its records hold [secrets](crate::secrets): of what is no record nothing is kept then, for
    /// without names nobody can tell what it gives away.
    pub holds_secrets: bool,
    /// Fields that move without meaning anything, as sums that Toggl reckons: a record that differs
    /// in them alone is stored, but is no change in the table's history.
    pub volatile_fields: &'static [&'static str],
    /// Whether plan or permissions may close it to an ordinary account.
    pub plan_dependent: bool,
    /// Whether a sync reads it without being told.
    pub by_default: bool,
}

impl Resource {
    /// The table's name without its schema.
    pub fn table(&self) -> String {
        format!("toggl_track__{}", self.name)
    }

    /// The subject its batches are published on.
    pub fn subject(&self) -> String {
        format!("{}.{}", SUBJECT_PREFIX, self.name)
    }

    /// The durable consumer that all loaders share; copies have [their own](crate::consumer::Readers).
    pub fn consumer(&self) -> String {
        format!("loader_{}", self.name)
    }

    /// Whether a sync may read it; what it may not has a command of its own.
    pub const fn is_synced(&self) -> bool {
        !matches!(self.paging, Paging::Report | Paging::Sums)
    }

    /// Whether its rows have a start and a user of their own.
    pub const fn is_time_entry(&self) -> bool {
        self.started_field.is_some()
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
