//! The lists of a sync: all masters of all workspaces at once.

use std::collections::{BTreeMap, HashSet};

use futures::future::join_all;
use jiff::Timestamp;
use shared::catalogue;
use shared::exit::chain;
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource, Scope};
use shared::retry::Disposition;
use shared::telemetry::MASTERS;
use tracing::info;

use super::shared_lists::KnownReaders;
use super::{Sync, workspaces_resource};
use crate::masters::{Asking, Broken, Fetched};
use crate::outcome::{SyncError, Tally};
use crate::publisher::Publisher;
use crate::state::{Listings, Reader, Reading, Seen, listings_key};
use crate::toggl;

/// What became of one listing.
pub(super) enum Outcome {
    Sent(Sent),
    Skipped(Refusal),
    Failed(String),
    /// A quota ran out; this many records were sent, and the page to go on with.
    OutOfQuota(toggl::Error, usize, usize),
}

/// Why a listing is closed to the account.
pub(super) struct Refusal {
    pub(super) reason: String,
    /// What Toggl said, whichever listing it was.
    pub(super) told: String,
}

impl Refusal {
    pub(super) fn of(error: &toggl::Error) -> Self {
        Self { reason: chain(error), told: error.told() }
    }
}

/// A listing that was sent.
pub(super) struct Sent {
    pub(super) records: usize,
    at: Timestamp,
    doubt: Option<String>,
    seen: Option<Seen>,
}

/// What came of the lists of a workspace that were asked for.
#[derive(Default)]
struct Asked {
    lists: usize,
    is_open: bool,
    refusals: Vec<(&'static Resource, Refusal)>,
}

/// A listing that is to be read.
struct Job {
    resource: &'static Resource,
    workspace_id: i64,
    first_page: usize,
    before: Option<Seen>,
    /// Why it may claim nothing, whatever it proves.
    doubt: Option<String>,
    /// Its answer, where it was needed before its turn.
    ready: Option<Fetched>,
}

impl Sync<'_> {
    /// Masters of the workspaces, all at once; the client paces their requests.
    pub(super) async fn masters(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let mut readers = KnownReaders::default();
        let mut memory = self.load_listings(workspace_ids).await?;
        let mut jobs = self.jobs(workspace_ids, &memory, &mut readers).await?;
        let known = self.membership.clone();
        let held = self.hold_back(&mut jobs);
        self.read(jobs, &mut memory, &mut readers).await?;
        let opened: Vec<Job> =
            held.into_iter().filter(|job| !self.is_closed(job.workspace_id)).collect();
        if !opened.is_empty() {
            self.read(opened, &mut memory, &mut readers).await?;
        }
        self.save_membership(&known).await?;
        readers.save(&self.session).await?;
        for (workspace_id, listings) in memory {
            let key = listings_key(self.session.account.id, workspace_id);
            self.session.state.save(&key, &listings).await?;
        }
        let counts = self.counts.iter().map(|(resource, count)| (resource.name, *count));
        self.result.masters_counts = counts.collect();
        Ok(())
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
        readers: &mut KnownReaders,
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
            let mut tally = Tally::default();
            let outcome = settle(publisher, fetched, &mut tally).await;
            (resource, workspace_id, outcome, tally)
        });
        for (resource, workspace_id, outcome, mut tally) in join_all(listings).await {
            self.result.add(&mut tally);
            let outcome = outcome?;
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
                let me = (resource.name, self.reader(workspace_id));
                let is_listed = self.workspaces.iter().any(|w| w.id == workspace_id);
                readers.note(&self.session, workspace_id, me, is_listed).await?;
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
        workspace_ids: &[i64],
    ) -> Result<BTreeMap<i64, Listings>, SyncError> {
        let mut memory = BTreeMap::new();
        for id in workspace_ids {
            let key = listings_key(self.session.account.id, *id);
            memory.insert(*id, self.session.state.load(&key).await?.unwrap_or_default());
        }
        Ok(memory)
    }

    /// The listings that are still to be read, those first that were read least recently. What an interrupted
    /// run has sent is counted as sent.
    async fn jobs(
        &mut self,
        workspace_ids: &[i64],
        memory: &BTreeMap<i64, Listings>,
        readers: &mut KnownReaders,
    ) -> Result<Vec<Job>, SyncError> {
        let mut jobs = Vec::new();
        for resource in catalogue::masters().filter(|r| self.options.selection.has(r)) {
            if resource.scope == Scope::Account {
                jobs.extend(self.account_job(resource, readers).await?);
                continue;
            }
            for id in workspace_ids {
                let before = memory.get(id).and_then(|listings| listings.get(resource.name));
                let me = (resource.name, self.reader(*id));
                match readers.reading(&self.session, *id, me).await? {
                    Reading::LeftTo(reader) => self.leave(*id, reader),
                    Reading::Claiming => jobs.extend(self.job(resource, *id, before, None)),
                    Reading::Partial => jobs.extend(
                        self.job(
                            resource,
                            *id,
                            before,
                            Some(
                                "another account has read it until now, and this one may see less"
                                    .to_owned(),
                            ),
                        ),
                    ),
                }
            }
        }
        jobs.sort_by_key(|job| job.before.as_ref().map(|before| before.at));
        Ok(jobs)
    }

    fn job(
        &mut self,
        resource: &'static Resource,
        workspace_id: i64,
        before: Option<&Seen>,
        doubt: Option<String>,
    ) -> Option<Job> {
        if let Some((records, at)) =
            self.progress.done(resource, workspace_id).map(|done| (done.records, done.at))
        {
            self.count(resource, records);
            self.result.earlier.push((resource.name, at));
            return None;
        }
        let (first_page, _) = self.progress.broken_at(resource, workspace_id);
        let before = before.cloned();
        Some(Job { resource, workspace_id, first_page, before, doubt, ready: None })
    }

    /// What is the account's own: /me and the workspaces have been asked already.
    async fn account_job(
        &mut self,
        resource: &'static Resource,
        readers: &mut KnownReaders,
    ) -> Result<Option<Job>, SyncError> {
        let ready = match resource.name {
            name if name == workspaces_resource().name => self.workspace_listing.take(),
            _ => self.session.me.take_if(|me| me.listing.resource == resource),
        };
        let is_workspaces = resource == workspaces_resource();
        // It failed or was closed, which is noted already, or an earlier run has sent it.
        if is_workspaces && ready.is_none() && self.progress.done(resource, 0).is_none() {
            return Ok(None);
        }
        let Some(mut job) = self.job(resource, 0, None, None) else { return Ok(None) };
        job.ready = ready;
        if is_shared(resource) {
            let client = self.session.client;
            let asking = Asking { client, resource, workspace_id: 0, before: None };
            let fetched = if let Some(fetched) = job.ready.take() {
                Ok(fetched)
            } else {
                asking.fetch(1).await
            };
            match fetched {
                Ok(fetched) => job.ready = Some(self.own_rows(fetched, readers).await?),
                Err(broken) => {
                    let outcome = outcome_of(broken.error)?;
                    self.note(resource, 0, outcome);
                    return Ok(None);
                }
            }
        }
        Ok(Some(job))
    }

    fn leave(&mut self, workspace_id: i64, reader: Reader) {
        let words = format!(
            "The lists of workspace {workspace_id} are read with another account (user {}, last at {})",
            reader.user_id,
            reader.at.strftime("%Y-%m-%d %H:%M UTC")
        );
        let is_said = |known: &String| known.split(" (user").next() == words.split(" (user").next();
        if !self.result.notes.iter().any(is_said) {
            info!(target: MASTERS, "{words}");
            self.result.notes.push(words);
        }
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

    fn count(&mut self, resource: &'static Resource, records: usize) {
        match self.counts.iter_mut().find(|(known, _)| *known == resource) {
            Some((_, count)) => *count += records,
            None => self.counts.push((resource, records)),
        }
    }
}

/// Whether several accounts see the same rows of it.
fn is_shared(resource: &Resource) -> bool {
    resource.scope == Scope::Account && resource.paging == Paging::Array
}

impl Job {
    /// Takes the claim from a listing that may make none.
    fn within_its_rights(self, fetched: Fetched) -> Fetched {
        match self.doubt {
            Some(doubt) if self.resource.claim.is_by_listing() => Fetched {
                listing: Listing { span: Span::Partial, ..fetched.listing },
                doubt: Some(doubt),
                ..fetched
            },
            _ => fetched,
        }
    }
}

/// Publishes what was fetched, or decides what its error means for the run.
async fn settle(
    publisher: &Publisher,
    fetched: Result<Fetched, Box<Broken>>,
    tally: &mut Tally,
) -> Result<Outcome, SyncError> {
    match fetched {
        Ok(Fetched { listing, doubt, seen }) => {
            let at = listing.fetched_at;
            let records = tally.send(publisher, listing).await?;
            Ok(Outcome::Sent(Sent { records, at, doubt, seen }))
        }
        Err(broken) => {
            let Broken { error, read, next_page } = *broken;
            if matches!(error, toggl::Error::Quota { .. }) {
                let sent = tally.send(publisher, read).await?;
                return Ok(Outcome::OutOfQuota(error, sent, next_page));
            }
            refused(error)
        }
    }
}

/// What an error means for the run, before anything of its listing came.
pub(super) fn outcome_of(error: toggl::Error) -> Result<Outcome, SyncError> {
    match error {
        error @ toggl::Error::Quota { .. } => Ok(Outcome::OutOfQuota(error, 0, 1)),
        error => refused(error),
    }
}

/// What an error means for the run; a quota is somebody else's to decide.
pub(super) fn refused(error: toggl::Error) -> Result<Outcome, SyncError> {
    match error.disposition() {
        Disposition::Stop => Err(error.into()),
        Disposition::Skip => Ok(Outcome::Skipped(Refusal::of(&error))),
        Disposition::Retry(_) => Ok(Outcome::Failed(chain(&error))),
    }
}
