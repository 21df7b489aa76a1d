//! The lists of a sync: all masters of all workspaces at once.

use futures::future::join_all;
use shared::catalogue;
use shared::exit::chain;
use shared::listing::{Listing, Span};
use shared::resource::{Resource, Scope};
use shared::retry::Disposition;
use shared::telemetry::MASTERS;
use tracing::info;

use super::Sync;
use crate::masters::{self, Broken};
use crate::outcome::{SyncError, Tally};
use crate::publisher::Publisher;
use crate::toggl;

/// What became of one listing.
pub(super) enum Outcome {
    Sent(usize),
    Skipped(String),
    Failed(String),
    /// A quota ran out; this many records were sent, and the page to go on with.
    OutOfQuota(toggl::Error, usize, usize),
}

impl Sync<'_> {
    /// Masters of the workspaces, all at once; the client paces their requests.
    pub(super) async fn masters(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let mut fetched_already =
            [self.session.me.take(), self.workspaces.take()].into_iter().flatten().collect();
        let (client, publisher) = (self.session.client, self.session.publisher);
        let claims_nothing = self.options.is_second_choice;
        let listings = self.listings(workspace_ids).into_iter().map(|(resource, workspace_id)| {
            let first_page = self.progress.broken_at(resource, workspace_id).next_page;
            let ready = take(&mut fetched_already, resource);
            async move {
                let fetched = match ready {
                    Some(listing) => Ok(listing),
                    None => masters::fetch(client, resource, workspace_id, first_page).await,
                };
                let fetched = fetched.map(|listing| {
                    let span = if claims_nothing { Span::Partial } else { listing.span };
                    Listing { span, ..listing }
                });
                let mut tally = Tally::default();
                let outcome = settle(publisher, fetched, &mut tally).await;
                (resource, workspace_id, outcome, tally)
            }
        });
        for (resource, workspace_id, outcome, mut tally) in join_all(listings).await {
            self.result.add(&mut tally);
            self.note(resource, workspace_id, outcome?);
        }
        self.result.masters_counts =
            self.counts.iter().map(|(resource, count)| (resource.name, *count)).collect();
        Ok(())
    }

    /// The listings that are still to be read. What an interrupted run has sent is counted as sent.
    fn listings(&mut self, workspace_ids: &[i64]) -> Vec<(&'static Resource, i64)> {
        let mut listings = Vec::new();
        for resource in catalogue::masters().filter(|r| self.options.selection.has(r)) {
            let workspaces: Vec<i64> = match resource.scope {
                Scope::Account => vec![0],
                Scope::Workspace => {
                    let unread = |id: &&i64| !self.options.read_already.contains(id);
                    workspace_ids.iter().filter(unread).copied().collect()
                }
            };
            for workspace_id in workspaces {
                match self.progress.done(resource, workspace_id) {
                    Some(records) => self.count(resource, records),
                    None => listings.push((resource, workspace_id)),
                }
            }
        }
        listings
    }

    fn note(&mut self, resource: &'static Resource, workspace_id: i64, outcome: Outcome) {
        let name = resource.name;
        match outcome {
            Outcome::Sent(count) => {
                info!(target: MASTERS, "Sent {count} {name}");
                let records = self.progress.broken_at(resource, workspace_id).records + count;
                self.progress.finish(resource, workspace_id, records);
                self.count(resource, records);
            }
            Outcome::Skipped(reason) => self.skip(resource, reason),
            Outcome::Failed(reason) => self.fail(resource, reason),
            Outcome::OutOfQuota(error, count, next_page) => {
                if count > 0 {
                    info!(target: MASTERS, "Sent {count} {name}, up to page {next_page}");
                }
                self.progress.interrupt(resource, workspace_id, next_page, count);
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

/// Takes the listing of that resource out, if it is there.
fn take(listings: &mut Vec<Listing>, resource: &Resource) -> Option<Listing> {
    let at = listings.iter().position(|listing| listing.resource == resource)?;
    Some(listings.swap_remove(at))
}

/// Publishes what was fetched, or decides what its error means for the run.
async fn settle(
    publisher: &Publisher,
    fetched: Result<Listing, Box<Broken>>,
    tally: &mut Tally,
) -> Result<Outcome, SyncError> {
    match fetched {
        Ok(listing) => Ok(Outcome::Sent(tally.send(publisher, listing).await?)),
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

/// What an error means for the run; a quota is somebody else's to decide.
pub(super) fn refused(error: toggl::Error) -> Result<Outcome, SyncError> {
    match error.disposition() {
        Disposition::Stop => Err(error.into()),
        Disposition::Skip => Ok(Outcome::Skipped(chain(&error))),
        Disposition::Retry(_) => Ok(Outcome::Failed(chain(&error))),
    }
}
