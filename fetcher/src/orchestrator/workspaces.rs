//! Which workspaces a sync reads.

use shared::catalogue;
use shared::resource::{Resource, Scope};

use super::lists::outcome_of;
use super::{Sync, workspaces_resource};
use crate::account::Workspaces;
use crate::outcome::SyncError;
use crate::state::Remembered;
use crate::time_entries::FLOOR_DAYS;

impl Sync<'_> {
    /// Which workspaces to read. The list of them is asked for where it is to be sent, or needed for that.
    pub(super) async fn workspace_ids(&mut self) -> Result<Vec<i64>, SyncError> {
        let resource = workspaces_resource();
        let wanted = &self.options.workspaces;
        let is_chosen = self.options.selection.has(resource);
        let is_needed = *wanted == Workspaces::All
            || self.options.team_days.is_some()
            || (matches!(wanted, Workspaces::Ids(_)) && self.reads_organizations());
        if is_needed || (is_chosen && self.progress.done(resource, 0).is_none()) {
            match self.session.workspaces().await {
                Ok((workspaces, fetched)) => {
                    self.workspaces = workspaces;
                    self.workspace_listing = Some(fetched);
                }
                Err(SyncError::Toggl(error)) if !is_needed => {
                    let outcome = outcome_of(error)?;
                    self.note(resource, 0, outcome);
                }
                Err(error) => return Err(error),
            }
        }
        if let Workspaces::Ids(named) = wanted {
            self.refuse_foreign(named)?;
        }
        let ids = match self.session.named_workspaces(wanted) {
            Some(ids) => ids,
            None if *wanted == Workspaces::All => self.workspaces.iter().map(|w| w.id).collect(),
            None => Vec::new(),
        };
        if ids.is_empty() && *wanted == Workspaces::All {
            return Err(SyncError::NoneListed);
        }
        if ids.is_empty() && self.needs_workspaces() {
            return Err(SyncError::NoWorkspace);
        }
        self.remember_default().await?;
        self.still_open(ids).await
    }

    /// One word instead of one for each listing. A single workspace that is gone keeps no other from being
    /// read, and where the list of them was not asked for, it is not asked for that.
    fn refuse_foreign(&self, named: &[i64]) -> Result<(), SyncError> {
        let is_there = |id: &i64| self.workspaces.iter().any(|there| there.id == *id);
        if self.workspaces.is_empty() || named.iter().any(is_there) {
            return Ok(());
        }
        let there = self.workspaces.iter().map(|there| match &there.name {
            Some(name) => format!("{} ({name})", there.id),
            None => there.id.to_string(),
        });
        let there = there.collect::<Vec<_>>().join(", ");
        let named = named.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        Err(SyncError::NotYours { named, there })
    }

    fn reads_organizations(&self) -> bool {
        catalogue::find("organizations").is_some_and(|r| self.options.selection.has(r))
    }

    /// Whether anything of a workspace's is to be read.
    fn needs_workspaces(&self) -> bool {
        let has = |r: &Resource| r.scope == Scope::Workspace && self.options.selection.has(r);
        catalogue::CATALOGUE.iter().any(has)
            || self.options.days > FLOOR_DAYS
            || self.options.team_days.is_some()
    }

    /// A default workspace that was changed in the profile takes the place of the one that was read until now.
    async fn remember_default(&mut self) -> Result<(), SyncError> {
        if self.options.workspaces != Workspaces::Default || !self.needs_workspaces() {
            return Ok(());
        }
        let (state, account) = (self.session.state, &self.session.account);
        let key = Remembered::key(account.id);
        let now = Remembered { default_workspace_id: account.default_workspace_id };
        let before: Option<Remembered> = state.load(&key).await?;
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        if let (Some(old), Some(new)) =
            (before.and_then(|b| b.default_workspace_id), now.default_workspace_id)
        {
            self.result.uncertain.push((
                workspaces_resource().name,
                format!(
                    "the profile's default workspace is {new} now; {old}, which was read until now, is read \
                     no more. To read both: --workspace {old},{new} (TOGGL_WORKSPACE_ID)"
                ),
            ));
        }
        Ok(state.save(&key, &now).await?)
    }
}
