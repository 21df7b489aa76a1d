//! Single looks between runs, for whoever was told that something has changed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::resource::Resource;
use shared::telemetry::TIME_ENTRIES;
use tracing::info;

use super::entries_by_id::{AT_ONCE, EntriesById, EntriesError, gone_record};
use super::session::Session;
use super::turns::Turn;
use crate::account::{Account, Workspaces};
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::publisher::{PublishError, Publisher};
use crate::state::{State, Work};
use crate::toggl::Client;

/// Whoever listens for an account, and the right to be the only one, until it is dropped.
pub(crate) struct Listener<'a> {
    session: Session<'a>,
    pub(crate) workspace_ids: Vec<i64>,
}

impl<'a> Listener<'a> {
    /// # Errors
    /// See [`SyncError`].
    pub(crate) async fn open(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        (wanted, patience): (&Workspaces, std::time::Duration),
    ) -> Result<Self, SyncError> {
        let work = (Work::Listen, patience);
        let (session, _) = Session::open_known(client, publisher, state, turn, work).await?;
        let workspace_ids = match session.named_workspaces(wanted) {
            Some(ids) => ids,
            None if *wanted == Workspaces::All => {
                let (workspaces, _) = session.workspaces().await?;
                workspaces.iter().map(|workspace| workspace.id).collect()
            }
            None => return Err(SyncError::NoWorkspace),
        };
        if workspace_ids.is_empty() {
            return Err(SyncError::NoneListed);
        }
        Ok(Self { session, workspace_ids })
    }

    pub(crate) const fn account(&self) -> &Account {
        &self.session.account
    }
}

/// Reads entries of anybody by their ids. One that Toggl does not show may be running, and is not taken for
/// deleted.
///
/// # Errors
/// When Toggl or NATS refuse; what was sent before is stored.
pub(crate) async fn look_at_entries(
    client: &Client,
    publisher: &Publisher,
    workspace_id: i64,
    ids: &BTreeSet<i64>,
) -> Result<SyncResult, SyncError> {
    let entries = EntriesById { client, publisher, workspace_id };
    let (mut result, mut tally) = (SyncResult::default(), Tally::default());
    let ids: Vec<i64> = ids.iter().copied().collect();
    for ids in ids.chunks(AT_ONCE) {
        entries.read(ids, &mut tally).await.map_err(|error| match error {
            EntriesError::Toggl(error) => SyncError::Toggl(error),
            EntriesError::Run(error) => error,
        })?;
    }
    info!(
        target: TIME_ENTRIES,
        "Sent {} of {} entries of workspace {workspace_id} that were asked for", tally.records, ids.len()
    );
    result.add(&mut tally);
    Ok(result)
}

/// Tells a table that nothing has that id since then.
///
/// # Errors
/// When NATS refuses.
pub(crate) async fn tell_gone(
    publisher: &Publisher,
    resource: &'static Resource,
    workspace_id: i64,
    (id, at): (i64, Timestamp),
) -> Result<(), PublishError> {
    publisher.publish(gone_record(resource, workspace_id, (id, at))).await?;
    Ok(())
}
