//! Which listings are to be read.

use std::collections::BTreeMap;

use shared::catalogue;
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::info;

use super::outcome_of;
use crate::lists::{Asking, Fetched};
use crate::orchestrator::turns::Slot;
use crate::orchestrator::{Sync, workspaces_resource};
use crate::outcome::SyncError;
use crate::state::{Listings, Reader, Reading, Seen};

/// A listing that is to be read.
pub(in crate::orchestrator) struct Job {
    pub(super) resource: &'static Resource,
    pub(super) workspace_id: i64,
    pub(super) first_page: usize,
    pub(super) before: Option<Seen>,
    /// Why it may claim nothing, whatever it proves.
    pub(super) doubt: Option<String>,
    /// Its answer, where it was needed before its turn.
    pub(in crate::orchestrator) ready: Option<Fetched>,
}

impl Job {
    /// Takes the claim from a listing that may make none.
    pub(super) fn within_its_rights(self, fetched: Fetched) -> Fetched {
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

/// A listing of which it is not known yet who reads it.
pub(in crate::orchestrator) enum Undecided {
    /// It was read, and who sends its rows is open.
    Own(Box<Job>),
    /// A list of a workspace.
    Of(&'static Resource, i64),
}

impl Undecided {
    pub(in crate::orchestrator) const fn workspace_id(&self) -> Option<i64> {
        match self {
            Self::Own(_) => None,
            Self::Of(_, id) => Some(*id),
        }
    }
}

impl Sync<'_> {
    /// The listings that are to be read now, those first that were read least recently. What an interrupted
    /// run has sent is counted as sent.
    pub(super) fn jobs(
        &mut self,
        listings: Vec<Undecided>,
        memory: &BTreeMap<i64, Listings>,
    ) -> Vec<Job> {
        let mut jobs = Vec::new();
        for listing in listings {
            if !self.is_known_who_reads(&listing) {
                self.undecided.push(listing);
                continue;
            }
            match listing {
                Undecided::Own(job) => jobs.push(*job),
                Undecided::Of(resource, id) => {
                    let before = memory.get(&id).and_then(|listings| listings.get(resource.name));
                    jobs.extend(self.list_job(resource, id, before));
                }
            }
        }
        jobs.sort_by_key(|job| job.before.as_ref().map(|before| before.at));
        jobs
    }

    /// Of an answer that others have, too, leaves what is this account's to send. One that was overtaken by another
    /// account's is asked for again, for the newer one counts.
    pub(super) async fn keep_own_rows(&mut self, job: &mut Job) -> Result<(), SyncError> {
        let Some(mut fetched) = job.ready.take_if(|_| is_shared(job.resource)) else {
            return Ok(());
        };
        if self.is_overtaken(&fetched) {
            let (client, resource) = (self.session.client, job.resource);
            let asking = Asking { client, resource, workspace_id: 0, before: None };
            match asking.fetch(1).await {
                Ok(newer) => fetched = newer,
                // What is older loses against the other's, and that is all.
                Err(broken) => drop(outcome_of(broken.error)?),
            }
        }
        job.ready = Some(self.own_rows(fetched));
        Ok(())
    }

    pub(super) fn is_known_who_reads(&self, listing: &Undecided) -> bool {
        match listing {
            Undecided::Own(job) => {
                job.ready.as_ref().is_none_or(|fetched| self.is_decided(fetched))
            }
            Undecided::Of(resource, id) => {
                self.reading(&Slot::list(resource, *id), self.reader(*id)).is_some()
            }
        }
    }

    /// What others wait for until it is decided.
    pub(super) fn slots(&self, listing: &Undecided) -> Vec<Slot> {
        match listing {
            Undecided::Own(job) => {
                let rows = job.ready.iter().flat_map(|fetched| self.rows(fetched));
                rows.map(|(slot, _)| slot).collect()
            }
            Undecided::Of(resource, id) => vec![Slot::list(resource, *id)],
        }
    }

    fn list_job(
        &mut self,
        resource: &'static Resource,
        workspace_id: i64,
        before: Option<&Seen>,
    ) -> Option<Job> {
        let slot = Slot::list(resource, workspace_id);
        match self.reading(&slot, self.reader(workspace_id))? {
            Reading::LeftTo(reader) => {
                self.leave(workspace_id, reader);
                None
            }
            Reading::Claiming => self.job(resource, workspace_id, before, None),
            Reading::Partial => {
                let doubt = "another account has read it until now, and this one may see less";
                self.job(resource, workspace_id, before, Some(doubt.to_owned()))
            }
        }
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

    /// What is the account's own: /me and the workspaces have been asked already. Of what others may have, too,
    /// it is seen in the answer which rows that are.
    pub(super) async fn own_jobs(&mut self) -> Result<Vec<Job>, SyncError> {
        let mut jobs = Vec::new();
        for resource in catalogue::lists()
            .filter(|r| r.scope == Scope::Account && self.options.selection.has(r))
        {
            jobs.extend(self.own_job(resource).await?);
        }
        Ok(jobs)
    }

    async fn own_job(&mut self, resource: &'static Resource) -> Result<Option<Job>, SyncError> {
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
        if is_shared(resource) && job.ready.is_none() {
            let client = self.session.client;
            let asking = Asking { client, resource, workspace_id: 0, before: None };
            match asking.fetch(1).await {
                Ok(fetched) => job.ready = Some(fetched),
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
}

/// Whether several accounts see the same rows of it.
pub(in crate::orchestrator) fn is_shared(resource: &Resource) -> bool {
    resource.scope == Scope::Account && resource.paging == Paging::Array
}
