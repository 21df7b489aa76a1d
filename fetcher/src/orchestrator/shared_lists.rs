//! Lists and rows that several accounts can read: which account's view of them is sent.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use shared::batch::Record;
use shared::catalogue;
use shared::listing::Listing;
use shared::resource::Scope;

use super::turns::{Note, Slot};
use super::{Session, Sync};
use crate::lists::Fetched;
use crate::orchestrator::lists::{Job, is_shared};
use crate::state::{Reader, Reading, readers_key};

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
    /// None where its form is not known.
    fn of(record: &Record) -> Option<Self> {
        serde_json::from_slice(&record.data).ok()
    }

    fn is_admin(&self) -> bool {
        self.admin == Some(true)
            || self.owner == Some(true)
            || self.role.as_deref() == Some("admin")
    }

    fn slot(&self, resource: &'static str) -> Slot {
        // Organisations belong to none.
        let key = match self.organization_id {
            Some(_) => readers_key(self.id),
            None => readers_key(format_args!("organization.{}", self.id)),
        };
        Slot { key, resource }
    }
}

impl Sync<'_> {
    /// This account as a reader of a workspace's lists.
    pub(super) fn reader(&self, workspace_id: i64) -> Reader {
        let is_admin = self.workspaces.iter().any(|w| w.id == workspace_id && w.is_admin());
        let Session { account, client, .. } = &self.session;
        Reader::new(account.id, is_admin, client.now())
    }

    /// That this account reads a list of a workspace.
    pub(super) fn reads(&self, workspace_id: i64) -> Note {
        let is_listed = self.workspaces.iter().any(|w| w.id == workspace_id);
        Note::Read { me: self.reader(workspace_id), is_listed }
    }

    /// All that this account may read and others can read, too: the lists of its workspaces, and the rows of
    /// what it lists of its own.
    pub(super) fn shared(&self, workspace_ids: &[i64], own: &[Job]) -> BTreeMap<Slot, Note> {
        let chosen = catalogue::lists()
            .filter(|r| r.scope == Scope::Workspace && self.options.selection.has(r));
        let lists = chosen.flat_map(|resource| {
            workspace_ids.iter().map(move |id| (Slot::list(resource, *id), self.reads(*id)))
        });
        let rows = own.iter().filter_map(|job| job.ready.as_ref()).flat_map(|it| self.rows(it));
        let rows = rows.map(|(slot, me)| (slot, Note::Read { me, is_listed: true }));
        lists.chain(rows).collect()
    }

    /// What an account does with a list; none where that depends on others whom it can still wait for.
    pub(super) fn reading(&self, slot: &Slot, me: Reader) -> Option<Reading> {
        let turn = self.session.turn;
        turn.reading(slot, me).or_else(|| self.waited.then(|| turn.likely_reading(slot, me)))
    }

    /// Whether it is known of every row of a listing who sends it.
    pub(super) fn is_decided(&self, fetched: &Fetched) -> bool {
        self.rows(fetched).all(|(slot, me)| self.reading(&slot, me).is_some())
    }

    /// Whether another account has sent a row of a listing since, which this one sends, too.
    pub(super) fn is_overtaken(&self, fetched: &Fetched) -> bool {
        self.rows(fetched).any(|(slot, me)| {
            let is_left = matches!(self.reading(&slot, me), Some(Reading::LeftTo(_)));
            !is_left && self.session.turn.is_overtaken(&slot, me)
        })
    }

    /// The rows of a listing that others may have, too.
    pub(super) fn rows(&self, fetched: &Fetched) -> impl Iterator<Item = (Slot, Reader)> {
        let Listing { resource, fetched_at, records, .. } = &fetched.listing;
        let shared = is_shared(resource).then_some(records).into_iter().flatten();
        let rows = shared.filter_map(SharedRow::of).filter(move |row| self.is_chosen(row));
        rows.map(move |row| {
            let me = Reader::new(self.session.account.id, row.is_admin(), *fetched_at);
            (row.slot(resource.name), me)
        })
    }

    /// Leaves out the rows of workspaces that were not chosen, and those that another account's runs write.
    pub(super) fn own_rows(&mut self, fetched: Fetched) -> Fetched {
        let left: BTreeSet<Slot> = self
            .rows(&fetched)
            .filter(|(slot, me)| matches!(self.reading(slot, *me), Some(Reading::LeftTo(_))))
            .map(|(slot, _)| slot)
            .collect();
        let kept = self.rows(&fetched).filter(|(slot, _)| !left.contains(slot));
        let kept = kept.map(|(slot, me)| (slot, Note::Read { me, is_listed: true }));
        let kept: BTreeMap<Slot, Note> = kept.collect();
        let Fetched { mut listing, doubt, seen } = fetched;
        let name = listing.resource.name;
        listing.records.retain(|record| match SharedRow::of(record) {
            Some(row) => kept.contains_key(&row.slot(name)),
            // Whether it was chosen its id tells of workspaces.
            None => self.chosen().is_none_or(|chosen| chosen.contains(&record.source_id)),
        });
        self.notes.extend(kept);
        Fetched { listing, doubt, seen }
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
