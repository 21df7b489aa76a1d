//! Lists and rows that several accounts can read: which account's view of them is sent.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::listing::Listing;

use super::{Session, Sync};
use crate::lists::Fetched;
use crate::outcome::SyncError;
use crate::state::{Reader, Readers, Reading, readers_key};

/// A row of `workspaces` or `organizations`, as far as it says how much its reader sees.
#[derive(Debug, Deserialize)]
struct SharedRow {
    id: i64,
    admin: Option<bool>,
    owner: Option<bool>,
    role: Option<String>,
    organization_id: Option<i64>,
}

impl SharedRow {
    fn is_admin(&self) -> bool {
        self.admin == Some(true)
            || self.owner == Some(true)
            || self.role.as_deref() == Some("admin")
    }

    /// Where its readers are written down.
    fn key(&self) -> String {
        // Organisations belong to none.
        match self.organization_id {
            Some(_) => readers_key(self.id),
            None => readers_key(format_args!("organization.{}", self.id)),
        }
    }
}

/// The readers of several workspaces, as they stand in the bucket.
#[derive(Debug, Default)]
pub(super) struct KnownReaders(BTreeMap<String, Readers>);

impl KnownReaders {
    async fn of(&mut self, session: &Session<'_>, key: &str) -> Result<&mut Readers, SyncError> {
        if !self.0.contains_key(key) {
            let readers = session.state.load(key).await?.unwrap_or_default();
            self.0.insert(key.to_owned(), readers);
        }
        Ok(self.0.entry(key.to_owned()).or_default())
    }

    /// What this account does with a list of a workspace.
    pub(super) async fn reading(
        &mut self,
        session: &Session<'_>,
        workspace_id: i64,
        (resource, me): (&str, Reader),
    ) -> Result<Reading, SyncError> {
        let readers = self.of(session, &readers_key(workspace_id)).await?;
        Ok(me.reading(readers.get(resource)))
    }

    /// This account has read a list of the workspace.
    pub(super) async fn note(
        &mut self,
        session: &Session<'_>,
        workspace_id: i64,
        (resource, me): (&str, Reader),
        is_listed: bool,
    ) -> Result<(), SyncError> {
        let readers = self.of(session, &readers_key(workspace_id)).await?;
        let known = readers.get(resource);
        // Where the workspaces were not listed, what it was stands.
        let was_admin = known.is_some_and(|known| known.user_id == me.user_id && known.is_admin);
        let is_admin = me.is_admin || (!is_listed && was_admin);
        let me = Reader::new(me.user_id, is_admin, me.at).after(known);
        readers.insert(resource.to_owned(), me);
        Ok(())
    }

    /// Writes down who has read what.
    pub(super) async fn save(self, session: &Session<'_>) -> Result<(), SyncError> {
        for (key, readers) in self.0 {
            session.state.save(&key, &readers).await?;
        }
        Ok(())
    }
}

impl Sync<'_> {
    /// This account as a reader of a workspace's lists.
    pub(super) fn reader(&self, workspace_id: i64) -> Reader {
        let is_admin = self.workspaces.iter().any(|w| w.id == workspace_id && w.is_admin());
        let Session { account, client, .. } = &self.session;
        Reader::new(account.id, is_admin, client.now())
    }

    /// Leaves out the rows of workspaces that were not chosen, and those that another account's runs write.
    pub(super) async fn own_rows(
        &self,
        fetched: Fetched,
        readers: &mut KnownReaders,
    ) -> Result<Fetched, SyncError> {
        let Fetched { listing, doubt, seen } = fetched;
        let name = listing.resource.name;
        let (user_id, at) = (self.session.account.id, listing.fetched_at);
        let mut kept = Vec::with_capacity(listing.records.len());
        for record in listing.records {
            let Ok(row) = serde_json::from_slice::<SharedRow>(&record.data) else {
                // Of a form that is not known; whether it was chosen its id tells of workspaces.
                if self.chosen().is_none_or(|chosen| chosen.contains(&record.source_id)) {
                    kept.push(record);
                }
                continue;
            };
            let known = readers.of(&self.session, &row.key()).await?;
            let me = Reader::new(user_id, row.is_admin(), at);
            let is_left = matches!(me.reading(known.get(name)), Reading::LeftTo(_));
            if self.is_chosen(&row) && !is_left {
                let me = me.after(known.get(name));
                known.insert(name.to_owned(), me);
                kept.push(record);
            }
        }
        Ok(Fetched { listing: Listing { records: kept, ..listing }, doubt, seen })
    }

    fn is_chosen(&self, row: &SharedRow) -> bool {
        let Some(chosen) = self.chosen() else { return true };
        match row.organization_id {
            Some(_) => chosen.contains(&row.id),
            None => self
                .workspaces
                .iter()
                .any(|w| chosen.contains(&w.id) && w.organization_id == Some(row.id)),
        }
    }
}
