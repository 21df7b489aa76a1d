//! The lists of a sync, of all workspaces at once.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::future::join_all;
use shared::catalogue;
use shared::resource::{Resource, Scope};
use shared::telemetry::MASTERS;
use tokio::time::Instant;
use tracing::info;

mod jobs;
mod known;
mod outcome;

pub(super) use self::jobs::{Job, Undecided, is_shared};
pub(super) use self::known::KnownList;
pub(super) use self::outcome::{Outcome, outcome_of, refused};
use self::outcome::{Refusal, Sent, settle};
use super::Sync;
use super::session::Session;
use super::turns::{LONGEST_WAIT, Slot};
use crate::lists::Asking;
use crate::outcome::{SyncError, Tally};
use crate::state::{Listings, listings_key};

/// What came of the lists of a workspace that were asked for.
#[derive(Default)]
struct Asked {
    lists: usize,
    is_open: bool,
    refusals: Vec<(&'static Resource, Refusal)>,
}

impl Sync<'_> {
    /// The lists of the workspaces, all at once; the client paces their requests. Those that it depends on other
    /// accounts who reads are left for later.
    pub(super) async fn lists(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let own = self.own_jobs().await?;
        let Session { turn, state, .. } = self.session;
        turn.announce(state, self.shared(workspace_ids, &own)).await?;
        let chosen = catalogue::lists()
            .filter(|r| r.scope == Scope::Workspace && self.options.selection.has(r));
        let lists = chosen
            .flat_map(|resource| workspace_ids.iter().map(move |id| Undecided::Of(resource, *id)));
        let listings =
            own.into_iter().map(|job| Undecided::Own(Box::new(job))).chain(lists).collect();
        self.read_decided(listings, workspace_ids.iter().copied().collect()).await
    }

    /// What was left for later, as soon as it is known who reads it, or has been waited for long enough.
    pub(super) async fn later_lists(&mut self) -> Result<(), SyncError> {
        let turn = self.session.turn;
        let mut deadline = Instant::now() + LONGEST_WAIT;
        let mut has_passed_by = false;
        while !self.undecided.is_empty() {
            let is_known = || self.undecided.iter().any(|one| self.is_known_who_reads(one));
            if !turn.until(deadline, is_known).await {
                if !has_passed_by {
                    turn.pass_by();
                    has_passed_by = true;
                    deadline += LONGEST_WAIT;
                    continue;
                }
                self.waited = true;
            }
            let listings = std::mem::take(&mut self.undecided);
            let ids = listings.iter().filter_map(Undecided::workspace_id).collect();
            self.read_decided(listings, ids).await?;
        }
        Ok(())
    }

    /// Reads those of the listings of which it is known who reads them, and writes down what the next run needs.
    pub(super) async fn read_decided(
        &mut self,
        listings: Vec<Undecided>,
        workspace_ids: BTreeSet<i64>,
    ) -> Result<(), SyncError> {
        let mut memory = self.load_listings(workspace_ids).await?;
        let mut jobs = self.jobs(listings, &memory);
        for job in &mut jobs {
            self.keep_own_rows(job).await?;
        }
        let known = self.membership.clone();
        let held = self.hold_back(&mut jobs);
        self.read(jobs, &mut memory).await?;
        let opened: Vec<Job> =
            held.into_iter().filter(|job| !self.is_closed(job.workspace_id)).collect();
        if !opened.is_empty() {
            self.read(opened, &mut memory).await?;
        }
        self.save_membership(&known).await?;
        let still = self.undecided.iter().flat_map(|one| self.slots(one)).collect();
        let notes = std::mem::take(&mut self.notes);
        self.session.turn.settle(self.session.state, notes, &still).await?;
        for (workspace_id, listings) in memory {
            let key = listings_key(self.session.account.id, workspace_id);
            self.session.state.save(&key, &listings).await?;
        }
        self.save_known().await?;
        self.tell_counts();
        Ok(())
    }

    pub(super) fn tell_counts(&mut self) {
        let counts = self.counts.iter().map(|(resource, count)| (resource.name, *count));
        self.result.masters_counts = counts.collect();
    }

    /// Of a workspace that has refused everything the last time one list is asked for, and the others, which
    /// are taken out, if that one has opened.
    fn hold_back(&self, jobs: &mut Vec<Job>) -> Vec<Job> {
        let mut tried = HashSet::new();
        let held = jobs.extract_if(.., |job| {
            self.is_closed(job.workspace_id) && !tried.insert(job.workspace_id)
        });
        held.collect()
    }

    /// Reads these listings at once, sends them, and notes what came of each.
    async fn read(
        &mut self,
        jobs: Vec<Job>,
        memory: &mut BTreeMap<i64, Listings>,
    ) -> Result<(), SyncError> {
        let mut asked: BTreeMap<i64, Asked> = BTreeMap::new();
        let (client, publisher) = (self.session.client, self.session.publisher);
        let listings = jobs.into_iter().map(|mut job| async move {
            let Job { resource, workspace_id, first_page, .. } = job;
            let before = job.before.as_ref();
            let fetched = match job.ready.take() {
                Some(fetched) => Ok(fetched),
                None => Asking { client, resource, workspace_id, before }.fetch(first_page).await,
            };
            let fetched = fetched.map(|fetched| job.within_its_rights(fetched));
            let known = fetched.as_ref().ok().and_then(KnownList::of);
            let mut tally = Tally::default();
            let outcome = settle(publisher, fetched, &mut tally).await;
            (resource, workspace_id, outcome, known, tally)
        });
        for (resource, workspace_id, outcome, known, mut tally) in join_all(listings).await {
            self.result.add(&mut tally);
            let outcome = outcome?;
            self.known.extend(known);
            if resource.scope == Scope::Workspace {
                let asked = asked.entry(workspace_id).or_default();
                asked.lists += 1;
                asked.is_open |= matches!(outcome, Outcome::Sent(_));
                if let Outcome::Skipped(refusal) = outcome {
                    asked.refusals.push((resource, refusal));
                    continue;
                }
            }
            if let (Outcome::Sent(sent), Scope::Workspace) = (&outcome, resource.scope) {
                let note = self.reads(workspace_id);
                self.notes.insert(Slot::list(resource, workspace_id), note);
                if let (Some(seen), Some(listings)) = (&sent.seen, memory.get_mut(&workspace_id)) {
                    listings.insert(resource.name.to_owned(), seen.clone());
                }
            }
            self.note(resource, workspace_id, outcome);
        }
        for (workspace_id, asked) in asked {
            self.note_refusals(workspace_id, asked);
        }
        Ok(())
    }

    /// Lists that are closed are named each; a workspace of which all are, by itself and once.
    fn note_refusals(&mut self, workspace_id: i64, asked: Asked) {
        let Asked { lists, is_open, refusals } = asked;
        if is_open || self.progress.has_any(workspace_id) {
            self.opened(workspace_id);
        } else if refusals.len() == lists
            && (lists > 1 || self.is_closed(workspace_id) || self.is_suspended(workspace_id))
            && let Some((_, Refusal { told, .. })) = refusals.first()
        {
            self.refused_whole(workspace_id, told);
            return;
        }
        for (resource, refusal) in refusals {
            self.note(resource, workspace_id, Outcome::Skipped(refusal));
        }
    }

    async fn load_listings(
        &self,
        workspace_ids: BTreeSet<i64>,
    ) -> Result<BTreeMap<i64, Listings>, SyncError> {
        let mut memory = BTreeMap::new();
        for id in workspace_ids {
            let key = listings_key(self.session.account.id, id);
            memory.insert(id, self.session.state.load(&key).await?.unwrap_or_default());
        }
        Ok(memory)
    }

    pub(super) fn note(
        &mut self,
        resource: &'static Resource,
        workspace_id: i64,
        outcome: Outcome,
    ) {
        let name = resource.name;
        match outcome {
            Outcome::Sent(Sent { records, at, doubt, .. }) => {
                info!(target: MASTERS, "Sent {records} {name}");
                let (_, before) = self.progress.broken_at(resource, workspace_id);
                self.progress.finish(resource, workspace_id, before + records, at);
                self.count(resource, before + records);
                if let Some(doubt) = doubt {
                    self.doubt(resource, doubt);
                }
            }
            Outcome::Skipped(refusal) => self.skip(resource, refusal.reason),
            Outcome::Failed(reason) => self.fail(resource, reason),
            Outcome::OutOfQuota(error, count, next_page) => {
                if count > 0 {
                    info!(target: MASTERS, "Sent {count} {name}, up to page {next_page}");
                }
                let now = self.session.client.now();
                self.progress.interrupt(resource, workspace_id, (next_page, count), now);
                self.out_of_quota(error);
            }
        }
    }

    pub(super) fn count(&mut self, resource: &'static Resource, records: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, count)) => *count += records,
            None => self.counts.push((resource, records)),
        }
    }
}
