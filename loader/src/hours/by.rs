//! What hours can stand together by.

use clap::ValueEnum;

/// One of the columns of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dimension {
    Project,
    Client,
    User,
    Task,
    Tag,
    Billable,
    Day,
    Week,
    Month,
    Workspace,
}

impl Dimension {
    /// As it is spelled in `--by`, in JSON and in CSV.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Client => "client",
            Self::User => "user",
            Self::Task => "task",
            Self::Tag => "tag",
            Self::Billable => "billable",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Workspace => "workspace",
        }
    }

    /// For people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::User => "person",
            other => other.name(),
        }
    }

    /// What groups are told apart by, as text; in terms of the view of daily entries.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Project => "project_id::text",
            Self::Client => "client_id::text",
            Self::User => "user_id::text",
            Self::Task => "task_id::text",
            Self::Workspace => "workspace_id::text",
            Self::Tag => "tag.name",
            Self::Billable => "(is_billable is true)::text",
            Self::Day => "day::text",
            Self::Week => "week::text",
            Self::Month => "to_char(month, 'YYYY-MM')",
        }
    }

    /// What they are called: of what was deleted, the id.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Project => "coalesce(project_name, 'project ' || project_id)",
            Self::Client => "coalesce(client_name, 'client ' || client_id)",
            Self::User => "coalesce(user_name, 'user ' || user_id)",
            Self::Task => "coalesce(task_name, 'task ' || task_id)",
            Self::Workspace => "coalesce(workspace_name, 'workspace ' || workspace_id)",
            other => other.key(),
        }
    }

    /// Whether names may be the same while the ids differ.
    pub(super) const fn has_id(self) -> bool {
        matches!(self, Self::Project | Self::Client | Self::User | Self::Task | Self::Workspace)
    }

    /// Whether its groups follow each other instead of standing beside each other.
    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month)
    }

    /// The group of entries that have none, for people.
    pub(super) const fn without(self) -> &'static str {
        match self {
            Self::Project => "no project",
            Self::Client => "no client",
            Self::Task => "no task",
            Self::Tag => "no tag",
            _ => "unknown",
        }
    }
}
