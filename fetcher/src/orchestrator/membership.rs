//! Workspaces that the account no longer gets anything of: one that it has left, one that is suspended. Each is
//! named once and not at every run; what the last account has left is told to the tables.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde::Deserialize;
use shared::exit::chain;
use shared::listing::{Listing, Span};
use shared::telemetry::ORCHESTRATOR;
use tracing::info;

use super::turns::Slot;
use super::{Sync, workspaces_resource};
use crate::lists::Fetched;
use crate::outcome::{SyncError, Tally};
use crate::state::{Closed, Members, Membership, Readers, listings_key, readers_key};
use crate::toggl;

/// What is known of a workspace that is not among the account's.
enum Absence {
    /// Toggl says that there is none for this account.
    Proven(String),
    /// It is there all the same.
    Refuted,
    /// Toggl says neither.
    Doubtful,
}

/// A workspace, asked for by its id.
#[derive(Deserialize)]
struct Named {
    id: i64,
    server_deleted_at: Option<String>,
}

/// Whether all of the list can be read.
const fn is_whole(fetched: &Fetched) -> bool {
    fetched.listing.rejected.is_empty()
}

impl Sync<'_> {
    /// The workspaces that are worth asking for, of those that are to be read. What was left is found out from
    /// the list of the account's own, where that was asked for.
    pub(super) async fn still_open(&mut self, mut ids: Vec<i64>) -> Result<Vec<i64>, SyncError> {
        let state = self.session.state;
        let key = Membership::key(self.session.account.id);
        self.membership = state.load(&key).await?.unwrap_or_default();
        let before = self.membership.clone();
        if self.workspace_listing.as_ref().is_some_and(is_whole) {
            let listed = self.workspaces.iter().map(|workspace| workspace.id).collect();
            self.note_listed(&listed).await?;
            let left = before.closed.iter().filter(|(_, closed)| closed.is_left).map(|(id, _)| *id);
            let known = before.listed.iter().chain(&before.missed).copied().chain(left);
            let absent: BTreeSet<i64> = known
                .filter(|id| self.chosen().is_none_or(|chosen| chosen.contains(id)))
                .chain(ids.iter().copied())
                .filter(|id| !listed.contains(id))
                .collect();
            self.membership.listed = listed;
            for id in absent {
                if !self.look_for(id, before.listed.contains(&id)).await? {
                    ids.retain(|known| *known != id);
                }
            }
        }
        ids.retain(|id| !self.membership.has_left(*id));
        self.save_membership(&before).await?;
        Ok(ids)
    }

    /// Writes down what has changed.
    pub(super) async fn save_membership(&self, before: &Membership) -> Result<(), SyncError> {
        if self.membership != *before {
            let key = Membership::key(self.session.account.id);
            self.session.state.save(&key, &self.membership).await?;
        }
        Ok(())
    }

    async fn note_listed(&mut self, listed: &BTreeSet<i64>) -> Result<(), SyncError> {
        let (user_id, now) = (self.session.account.id, self.session.client.now());
        for id in listed {
            let renew = |members: &mut Members| members.renew(user_id, now);
            self.session.state.change(&Members::key(*id), renew).await?;
            self.membership.missed.remove(id);
            if self.membership.has_left(*id) {
                self.membership.closed.remove(id);
                let note = format!("Workspace {id} is this account's again");
                info!(target: ORCHESTRATOR, "{note}");
                self.result.notes.push(note);
            }
        }
        Ok(())
    }

    /// Finds out about a workspace that the account's list lacks; whether it can be read all the same.
    async fn look_for(&mut self, id: i64, was_listed: bool) -> Result<bool, SyncError> {
        if let Some(closed) = self.membership.closed.get(&id).filter(|closed| closed.is_left) {
            info!(
                target: ORCHESTRATOR,
                "Workspace {id} is not this account's any more since {}: {}",
                closed.since.strftime("%Y-%m-%d"),
                closed.told
            );
            if !closed.is_gone {
                self.tell_gone(id).await?;
            }
            return Ok(false);
        }
        let was_missed = self.membership.missed.contains(&id);
        let told = match self.absence(id).await? {
            Absence::Refuted => {
                self.membership.missed.remove(&id);
                self.membership.listed.insert(id);
                return Ok(true);
            }
            Absence::Proven(told) => told,
            // A list that is empty may be an accident, however often.
            Absence::Doubtful if was_missed && !self.workspaces.is_empty() => {
                "Toggl does not list it".to_owned()
            }
            Absence::Doubtful => {
                self.membership.missed.insert(id);
                let reason = format!(
                    "Toggl does not list workspace {id}; that is believed if the next run finds the same"
                );
                self.doubt(workspaces_resource(), reason);
                return Ok(true);
            }
        };
        self.membership.missed.remove(&id);
        if !(was_listed || was_missed || self.was_read(id).await?) {
            let reason = format!(
                "workspace {id} is none of this account's ({told}); `fetcher check` lists them"
            );
            self.skip(workspaces_resource(), reason);
            return Ok(false);
        }
        self.leave_workspace(id, told).await?;
        Ok(false)
    }

    /// Asks for the workspace itself.
    async fn absence(&self, id: i64) -> Result<Absence, SyncError> {
        let path = format!("{}/workspaces/{id}", workspaces_resource().api.prefix());
        Ok(match self.session.client.get(&path, &[]).await {
            Ok(answer) => match serde_json::from_slice::<Named>(&answer.body) {
                Ok(Named { id: named, server_deleted_at }) if named == id => server_deleted_at
                    .map_or(Absence::Refuted, |at| {
                        Absence::Proven(format!("it was deleted at {at}"))
                    }),
                _ => Absence::Doubtful,
            },
            Err(toggl::Error::Unavailable { status, message, .. })
                if status != StatusCode::PAYMENT_REQUIRED =>
            {
                Absence::Proven(format!("{status}{message}"))
            }
            Err(error @ toggl::Error::Credentials { .. }) => return Err(error.into()),
            Err(error) => {
                info!(target: ORCHESTRATOR, "Cannot look for workspace {id}: {}", chain(&error));
                Absence::Doubtful
            }
        })
    }

    /// Whether a run of this account has ever read its lists.
    async fn was_read(&self, id: i64) -> Result<bool, SyncError> {
        let key = listings_key(self.session.account.id, id);
        let read: Option<serde::de::IgnoredAny> = self.session.state.load(&key).await?;
        Ok(read.is_some() || self.membership.closed.contains_key(&id))
    }

    /// Names a workspace that was left, this once.
    async fn leave_workspace(&mut self, id: i64, told: String) -> Result<(), SyncError> {
        let Self { session, .. } = self;
        let (state, user_id, now) = (session.state, session.account.id, session.client.now());
        let leave = |members: &mut Members| members.leave(user_id);
        state.change(&Members::key(id), leave).await?;
        // Whoever else has it writes its row from now on.
        let row = Slot::list(workspaces_resource(), id);
        session.turn.leave(state, row, user_id).await?;
        let closed = Closed { is_left: true, told: told.clone(), since: now, is_gone: false };
        self.membership.closed.insert(id, closed);
        let rows = if self.tell_gone(id).await? {
            "what belongs to it is hidden in the schema staging until the workspace is back"
        } else {
            "another account still has it, so nothing is hidden"
        };
        let reason = format!(
            "workspace {id} is not this account's any more ({told}); {rows}. This is said once"
        );
        self.skip(workspaces_resource(), reason);
        Ok(())
    }

    /// Tells the tables that a workspace is gone, unless somebody else has it; whether it is.
    async fn tell_gone(&mut self, id: i64) -> Result<bool, SyncError> {
        let Self { session, .. } = self;
        let (state, user_id, now) = (session.state, session.account.id, session.client.now());
        let members: Option<Members> = state.load(&Members::key(id)).await?;
        let is_anothers = if let Some(members) = members {
            members.is_anyones(now)
        } else {
            // Nobody has written down yet who lists it; but who reads it.
            let readers: Readers = state.load(&readers_key(id)).await?.unwrap_or_default();
            readers.values().any(|reader| reader.is_anothers(user_id, now))
        };
        let Some(fetched) = self.workspace_listing.as_ref().filter(|_| !is_anothers) else {
            return Ok(false);
        };
        let gone = Listing {
            resource: workspaces_resource(),
            workspace_id: 0,
            fetched_at: fetched.listing.fetched_at,
            span: Span::Id(id),
            records: Vec::new(),
            rejected: Vec::new(),
        };
        Tally::default().send(session.publisher, gone).await?;
        if let Some(closed) = self.membership.closed.get_mut(&id) {
            closed.is_gone = true;
        }
        Ok(true)
    }
}
