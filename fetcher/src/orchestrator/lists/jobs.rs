//! Which listings are to be read.

use std::collections::BTreeMap;

use shared::catalogue;
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::info;

use super::outcome_of;
use crate::lists::{Asking, Fetched};
use crate::orchestrator::shared_lists::KnownReaders;
use crate::orchestrator::{Sync, workspaces_resource};
use crate::outcome::SyncError;
use crate::state::{Listings, Reader, Reading, Seen};

/// A listing that is to be read.
pub(super) struct Job {
    pub(super) resource: &'static Resource,
    pub(super) workspace_id: i64,
    pub(super) first_page: usize,
    pub(super) before: Option<Seen>,
    /// Why it may claim nothing, whatever it proves.
    pub(super) doubt: Option<String>,
    /// Its answer, where it was needed before its turn.
    pub(super) ready: Option<Fetched>,
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

impl Sync<'_> {
    /// The listings that are still to be read, those first that were read least recently. What an interrupted
    /// run has sent is counted as sent.
    pub(super) async fn jobs(
        &mut self,
        workspace_ids: &[i64],
        memory: &BTreeMap<i64, Listings>,
        readers: &mut KnownReaders,
    ) -> Result<Vec<Job>, SyncError> {
        let mut jobs = Vec::new();
        for resource in catalogue::lists().filter(|r| self.options.selection.has(r)) {
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
}

/// Whether several accounts see the same rows of it.
fn is_shared(resource: &Resource) -> bool {
    resource.scope == Scope::Account && resource.paging == Paging::Array
}
