//! `fetcher changes`: what has changed of the token owner's entries, in one request; and what they name that no run
//! has read yet.

use std::time::{Duration, Instant};

use shared::catalogue::CATALOGUE;
use shared::resource::Paging;
use shared::telemetry::ORCHESTRATOR;
use tracing::info;

mod allowance;
mod look_up;

use self::look_up::Lists;
use super::named::Named;
use super::session::Session;
use super::turns::Turn;
use super::{Extent, Sync, SyncOptions};
use crate::account::{Workspace, Workspaces};
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::state::{Membership, State, Work};
use crate::time_entries::FLOOR_DAYS;
use crate::toggl::Client;

/// Which changes to read.
#[derive(Debug, Clone)]
pub struct ChangeOptions {
    /// Workspaces to read, as of a sync.
    pub workspaces: Workspaces,
    /// Whether to ask what has changed of the lists that syncs read, too, whatever entries name.
    pub lists: bool,
    /// How long another run of the same account is waited for.
    pub patience: Duration,
}

impl Default for ChangeOptions {
    fn default() -> Self {
        let SyncOptions { workspaces, patience, .. } = SyncOptions::default();
        Self { workspaces, lists: false, patience }
    }
}

/// Reads what was created, changed or deleted of the token owner's entries since the last run that asked, and
/// publishes it; with it the projects, clients, tags and tasks that entries name and no run has read, as far as
/// the quota allows. Where a run has asked within a day whose the token is, that is one request.
///
/// # Errors
/// See [`SyncError`].
pub async fn changes_all(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    options: &ChangeOptions,
) -> Result<SyncResult, SyncError> {
    changes_beside(client, publisher, state, &Turn::alone(), options).await
}

/// The same for one of several accounts.
pub(crate) async fn changes_beside(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    turn: &Turn,
    options: &ChangeOptions,
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    info!(target: ORCHESTRATOR, "Starting Toggl Track changes");
    let Some(entries) = CATALOGUE.iter().find(|r| r.paging == Paging::Windows) else {
        return Ok(SyncResult::default());
    };
    let work = (Work::Sync, options.patience);
    let opened = Session::open_known(client, publisher, state, turn, work).await?;
    // Toggl cuts an answer that is too long, and all days that it tells are read then.
    let sync_options = SyncOptions {
        days: FLOOR_DAYS,
        workspaces: options.workspaces.clone(),
        ..SyncOptions::default()
    };
    let extent = Extent::Changes { lists: options.lists };
    let mut sync = Sync::between_syncs(opened, &sync_options, extent).await?;
    let named = sync.changed_entries(entries).await?;
    if sync.quota.is_none() {
        let lists = if options.lists { Lists::All } else { Lists::Named };
        sync.look_up(named, lists).await?;
        sync.later_lists().await?;
    }
    let workspace_ids = sync.session.named_workspaces(&options.workspaces).unwrap_or_default();
    sync.finish(workspace_ids, started).await
}

/// Reads what has changed of some lists of a workspace, as far as syncs read them, and of no entries.
///
/// # Errors
/// See [`SyncError`].
pub(crate) async fn look_at_lists(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    turn: &Turn,
    (workspace_id, names, patience): (i64, Vec<&'static str>, Duration),
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    let work = (Work::Sync, patience);
    let opened = Session::open_known(client, publisher, state, turn, work).await?;
    let workspace_ids = vec![workspace_id];
    let options = SyncOptions {
        workspaces: Workspaces::Ids(workspace_ids.clone()),
        ..SyncOptions::default()
    };
    let mut sync = Sync::between_syncs(opened, &options, Extent::Lists).await?;
    sync.look_up(Named::default(), Lists::These(names)).await?;
    sync.later_lists().await?;
    sync.finish(workspace_ids, started).await
}

impl<'a> Sync<'a> {
    /// A run that asks neither for workspaces nor for whose they are: what earlier runs have written down counts.
    async fn between_syncs(
        (session, workspaces): (Session<'a>, Vec<Workspace>),
        options: &'a SyncOptions,
        extent: Extent,
    ) -> Result<Self, SyncError> {
        let mut sync = Self::new(session, options, extent).await?;
        sync.workspaces = workspaces;
        let Session { state, account, .. } = &sync.session;
        sync.membership = state.load(&Membership::key(account.id)).await?.unwrap_or_default();
        Ok(sync)
    }
}
