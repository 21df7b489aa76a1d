//! Which path is which endpoint, and which quota it is paid from.

use axum::http::Method;

use super::account::Account;
use super::list::List;
use super::quota::Bucket;
use super::report::Sum;

/// The endpoints the simulator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Me,
    Quota,
    Organizations,
    Workspaces,
    MyWorkspaces,
    Workspace(i64),
    List(List, i64),
    TimeEntries,
    CurrentTimeEntry,
    Report(i64),
    Sums(Sum, i64),
    WebhookLimits(i64),
    Subscriptions(i64),
    /// One of a workspace, by its id.
    Subscription(i64, i64),
    SubscriptionEvents(i64, i64),
    SubscriptionPing(i64, i64),
}

impl Endpoint {
    /// The endpoint of a path, none if Toggl would answer 404.
    pub(super) fn of(path: &str) -> Option<Self> {
        if let Some(path) = path.strip_prefix("/reports/api/v3/") {
            return Self::of_reports(path);
        }
        if let Some(path) = path.strip_prefix("/webhooks/api/v1/") {
            return Self::of_webhooks(path);
        }
        let segments: Vec<&str> = path.strip_prefix("/api/v9/")?.split('/').collect();
        Some(match segments.as_slice() {
            ["me"] => Self::Me,
            ["me", "quota"] => Self::Quota,
            ["me", "organizations"] => Self::Organizations,
            ["me", "workspaces"] => Self::MyWorkspaces,
            ["me", "time_entries"] => Self::TimeEntries,
            ["me", "time_entries", "current"] => Self::CurrentTimeEntry,
            ["workspaces"] => Self::Workspaces,
            ["workspaces", id] => Self::Workspace(id.parse().ok()?),
            ["workspaces", id, list] => Self::List(List::named(list)?, id.parse().ok()?),
            _ => return None,
        })
    }

    /// Reports say `workspace` where the other API says `workspaces`.
    fn of_reports(path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').collect();
        match segments.as_slice() {
            ["workspace", id, "search", "time_entries"] => Some(Self::Report(id.parse().ok()?)),
            ["workspace", id, "search", "time_entries", "totals"] => {
                Some(Self::Sums(Sum::Totals, id.parse().ok()?))
            }
            ["workspace", id, "summary", "time_entries"] => {
                Some(Self::Sums(Sum::Users, id.parse().ok()?))
            }
            ["workspace", id, "projects", "summary"] => {
                Some(Self::Sums(Sum::Projects, id.parse().ok()?))
            }
            _ => None,
        }
    }

    fn of_webhooks(path: &str) -> Option<Self> {
        let (kind, ids) = path.split_once('/')?;
        let segments: Vec<&str> = ids.split('/').collect();
        let workspace_id = segments.first()?.parse().ok()?;
        let id = segments.get(1).map(|id| id.parse());
        Some(match (kind, id, segments.get(2..).unwrap_or_default()) {
            ("limits", None, []) => Self::WebhookLimits(workspace_id),
            ("subscriptions", None, []) => Self::Subscriptions(workspace_id),
            ("subscriptions", Some(Ok(id)), []) => Self::Subscription(workspace_id, id),
            ("subscriptions", Some(Ok(id)), ["events"]) => {
                Self::SubscriptionEvents(workspace_id, id)
            }
            ("ping", Some(Ok(id)), []) => Self::SubscriptionPing(workspace_id, id),
            _ => return None,
        })
    }

    /// Whether it answers with a list of records, of whatever kind.
    pub(super) const fn is_list(self) -> bool {
        !self.is_of_webhooks()
            && !matches!(self, Self::Me | Self::Quota | Self::Workspace(_) | Self::CurrentTimeEntry)
    }

    pub(super) const fn is_of_webhooks(self) -> bool {
        matches!(
            self,
            Self::WebhookLimits(_)
                | Self::Subscriptions(_)
                | Self::Subscription(..)
                | Self::SubscriptionEvents(..)
                | Self::SubscriptionPing(..)
        )
    }

    pub(super) fn takes(self, method: &Method) -> bool {
        match self {
            Self::Report(_) | Self::Sums(..) | Self::SubscriptionPing(..) => {
                *method == Method::POST
            }
            Self::Subscriptions(_) => [Method::GET, Method::POST].contains(method),
            Self::Subscription(..) => [Method::PUT, Method::DELETE].contains(method),
            _ => *method == Method::GET,
        }
    }

    /// The quota of the account that a request is paid from.
    pub(super) fn bucket(self, account: &Account) -> Bucket {
        let of = |workspace_id| Bucket::Organization(account.organization_of(workspace_id));
        match self {
            Self::Me
            | Self::Quota
            | Self::Organizations
            | Self::MyWorkspaces
            | Self::TimeEntries
            | Self::CurrentTimeEntry => Bucket::Me,
            Self::Workspaces => of(None),
            Self::Workspace(id)
            | Self::List(_, id)
            | Self::Report(id)
            | Self::Sums(_, id)
            | Self::WebhookLimits(id)
            | Self::Subscriptions(id)
            | Self::Subscription(id, _)
            | Self::SubscriptionEvents(id, _)
            | Self::SubscriptionPing(id, _) => of(Some(id)),
        }
    }

    /// Whether asking costs a request. Nobody knows for `/me/quota`; here it is free, so that it
    /// can be asked when the quota is used up.
    pub(super) const fn is_counted(self) -> bool {
        !matches!(self, Self::Quota)
    }
}
