//! The workspaces and organisations of an account, and what their records decide.

use serde::Deserialize;

use super::account::Account;
use super::record::Record;

impl Account {
    /// Id of the first workspace.
    ///
    /// # Panics
    ///
    /// If every workspace was removed.
    pub fn workspace_id(&self) -> i64 {
        self.workspaces.first().expect("an account has a workspace").id()
    }

    /// The workspaces, in the order they were added.
    pub fn workspaces(&self) -> &[Record] {
        &self.workspaces
    }

    /// Adds a workspace, or replaces the one with its id. Its `organization_id` says whose quota
    /// requests for it are paid from; without one it is the first organisation's.
    ///
    /// # Panics
    ///
    /// If the text is no JSON object with an id.
    pub fn put_workspace(&mut self, text: &str) {
        put(&mut self.workspaces, text);
    }

    /// The user is no longer in a workspace: it is in no list, and whoever asks for it is refused. False if it
    /// was not there.
    pub fn leave_workspace(&mut self, id: i64) -> bool {
        let before = self.workspaces.len();
        self.workspaces.retain(|workspace| workspace.id() != id);
        self.workspaces.len() < before
    }

    /// The organisations the user belongs to.
    pub fn organizations(&self) -> &[Record] {
        &self.organizations
    }

    /// Adds an organisation, or replaces the one with its id.
    ///
    /// # Panics
    ///
    /// If the text is no JSON object with an id.
    pub fn put_organization(&mut self, text: &str) {
        put(&mut self.organizations, text);
    }

    /// The workspace with this id, none if the account is not in it.
    pub(super) fn workspace(&self, id: i64) -> Option<Workspace> {
        let record = self.workspaces.iter().find(|workspace| workspace.id() == id)?;
        Some(serde_json::from_str(record.text()).expect("a workspace"))
    }

    /// The organisation of a workspace; the first one where there is no telling.
    pub(super) fn organization_of(&self, workspace_id: Option<i64>) -> Option<i64> {
        let workspace = workspace_id.and_then(|id| self.workspace(id));
        let own = workspace.and_then(|workspace| workspace.organization_id);
        own.or_else(|| self.organizations.first().map(Record::id))
    }
}

/// What Toggl goes by in a workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    organization_id: Option<i64>,
    role: Option<String>,
    admin: Option<bool>,
    default_currency: Option<String>,
}

impl Workspace {
    /// Whether the token's user sees what others do there.
    pub(super) fn is_admin(&self) -> bool {
        self.role.as_deref() == Some("admin") || self.admin == Some(true)
    }

    pub(super) fn currency(&self) -> &str {
        self.default_currency.as_deref().unwrap_or("USD")
    }
}

fn put(records: &mut Vec<Record>, text: &str) {
    let record = Record::parse(text);
    match records.iter_mut().find(|known| known.id() == record.id()) {
        Some(known) => *known = record,
        None => records.push(record),
    }
}
