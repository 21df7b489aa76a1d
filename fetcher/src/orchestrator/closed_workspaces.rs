//! Workspaces of which Toggl refuses everything: named once, and again when they open.

use shared::telemetry::ORCHESTRATOR;
use tracing::info;

use super::{Sync, workspaces_resource};

impl Sync<'_> {
    /// Notes that Toggl refuses everything of a workspace: named at once where that is new, and later only in
    /// the log.
    pub(super) fn refused_whole(&mut self, id: i64, told: &str) {
        let now = self.session.client.now();
        let workspace = self.workspaces.iter().find(|workspace| workspace.id == id);
        let told = match workspace.and_then(|workspace| workspace.suspended_at.as_deref()) {
            Some(at) => format!("suspended since {at}; {told}"),
            None => told.to_owned(),
        };
        if self.membership.refuse(id, &told, now) {
            let reason = format!(
                "Toggl refuses all lists of workspace {id} ({told}); what is stored of it stays as it was, and is \
                 read again as soon as one of them opens. This is said once, and by `fetcher check`"
            );
            self.skip(workspaces_resource(), reason);
        } else {
            info!(target: ORCHESTRATOR, "Workspace {id} is still closed to this account: {told}");
        }
    }

    /// Notes that a workspace answers.
    pub(super) fn opened(&mut self, id: i64) {
        if self.membership.closed.remove(&id).is_some() {
            let note = format!("Workspace {id} is open to this account again");
            info!(target: ORCHESTRATOR, "{note}");
            self.result.notes.push(note);
        }
    }

    /// Whether Toggl refuses everything of a workspace, as far as is known.
    pub(super) fn is_closed(&self, id: i64) -> bool {
        self.membership.closed.contains_key(&id)
    }

    pub(super) fn is_suspended(&self, id: i64) -> bool {
        self.workspaces.iter().any(|w| w.id == id && w.suspended_at.is_some())
    }
}
