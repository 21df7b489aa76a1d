//! The time entries of a sync: windows by start, changes wherever they started, and from reports what
//! is too old for either.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use shared::catalogue::CATALOGUE;
use shared::listing::Listing;
use shared::resource::{Paging, Resource};
use shared::telemetry::TIME_ENTRIES;
use tracing::{info, warn};

use super::Sync;
use super::lists::{Outcome, refused};
use crate::outcome::{SyncError, Tally};
use crate::report::{Report, Scope, Stopped};
use crate::state::Since;
use crate::time_entries::{FLOOR_DAYS, Window, Windows, changes, first_of};
use crate::toggl;

/// How much further back than the last request changes are asked for: more than two clocks differ by,
/// and than Toggl takes to show a change.
const SINCE_MARGIN: SignedDuration = SignedDuration::from_mins(15);

/// Versions of entries that a window has just sent.
type Sent = HashSet<(i64, Option<Timestamp>)>;

impl Sync<'_> {
    pub(super) async fn time_entries(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let selection = &self.options.selection;
        let chosen = |r: &&Resource| r.paging == Paging::Windows && selection.has(r);
        let Some(resource) = CATALOGUE.iter().find(chosen) else {
            return Ok(());
        };
        let mut tally = Tally::default();
        let mut sent = Sent::new();
        let outcome = match self.windows(resource, &mut tally, &mut sent).await {
            Ok(()) => self.changes(resource, &mut tally, &mut sent).await,
            stopped => stopped,
        };
        let outcome = match outcome {
            Ok(()) if self.options.days > FLOOR_DAYS => {
                self.older_entries(workspace_ids, &mut tally).await
            }
            outcome => outcome,
        };
        self.result.add(&mut tally);
        match outcome {
            Ok(()) => {}
            Err(Stopped::Run(error)) => return Err(error),
            Err(Stopped::Toggl(error @ toggl::Error::Quota { .. })) => self.out_of_quota(error),
            Err(Stopped::Toggl(error)) => match refused(error)? {
                Outcome::Skipped(reason) => self.skip(resource, reason),
                Outcome::Failed(reason) => self.fail(resource, reason),
                Outcome::Sent(_) | Outcome::OutOfQuota(..) => {}
            },
        }
        Ok(())
    }

    async fn windows(
        &mut self,
        resource: &'static Resource,
        tally: &mut Tally,
        sent: &mut Sent,
    ) -> Result<(), Stopped> {
        let days = self.options.days;
        let ahead = match &self.progress.windows {
            Some(ahead) => ahead.clone(),
            None => vec![self.window(days.min(FLOOR_DAYS))?],
        };
        let count = self.send_windows(resource, ahead, tally, sent).await?;
        self.result.time_entries_count = self.progress.entries + count;
        let name = resource.name;
        info!(target: TIME_ENTRIES, "Sent {} {name} of {days} days", self.result.time_entries_count);
        Ok(())
    }

    fn window(&self, days: u32) -> Result<Window, jiff::Error> {
        Window::last_days(days, self.progress.today, &self.session.account.zone())
    }

    async fn send_windows(
        &mut self,
        resource: &'static Resource,
        ahead: Vec<Window>,
        tally: &mut Tally,
        sent: &mut Sent,
    ) -> Result<usize, Stopped> {
        let session = &self.session;
        let mut windows = Windows::new(session.client, resource, session.account.id, ahead);
        let mut count = 0;
        loop {
            match windows.next().await {
                Ok(None) => {
                    self.progress.windows = Some(Vec::new());
                    return Ok(count);
                }
                Ok(Some(listing)) => {
                    sent.extend(listing.records.iter().map(|r| (r.source_id, r.modified_at)));
                    count += tally.send(session.publisher, listing).await?;
                }
                Err(error) => {
                    self.progress.windows = Some(windows.ahead().to_vec());
                    self.progress.entries += count;
                    return Err(Stopped::Toggl(error));
                }
            }
        }
    }

    /// Entries that have changed or were deleted since the last sync, whenever they started. What a
    /// window of this run has just sent in the same version is not sent again.
    async fn changes(
        &mut self,
        resource: &'static Resource,
        tally: &mut Tally,
        sent: &mut Sent,
    ) -> Result<(), Stopped> {
        let key = Since::key(self.session.account.id);
        let floor = self.window(FLOOR_DAYS)?.from;
        let (since, is_first) = self.since(&key).await?;
        let since = since.max(floor);
        let (listing, is_all) =
            changes(self.session.client, resource, since).await.map_err(Stopped::Toggl)?;
        let fetched_at = listing.fetched_at;
        let is_new = |id, modified_at| !sent.contains(&(id, modified_at));
        let records = listing.records.into_iter().filter(|r| is_new(r.source_id, r.modified_at));
        let listing = Listing { records: records.collect(), ..listing };
        let count = tally.send(self.session.publisher, listing).await?;
        info!(target: TIME_ENTRIES, "Sent {count} other {} changed since {since:.0}", resource.name);
        // The first sync has nothing older to put right.
        if !is_all && !is_first {
            warn!(
                target: TIME_ENTRIES,
                "More {} have changed than Toggl lists at once, reading the last {FLOOR_DAYS} days \
                 whole", resource.name
            );
            let window = self.window(FLOOR_DAYS)?;
            self.send_windows(resource, vec![window], tally, sent).await?;
        }
        self.session.state.save(&key, &Since { fetched_at }).await?;
        Ok(())
    }

    /// The last sync's request, less a margin; the first sync, which is told apart, asks for the
    /// changes of its own days.
    async fn since(&self, key: &str) -> Result<(Timestamp, bool), Stopped> {
        if let Some(days) = self.options.since_days {
            return Ok((self.window(days)?.from, false));
        }
        match self.session.state.load::<Since>(key).await? {
            Some(Since { fetched_at }) => {
                Ok((fetched_at.checked_sub(SINCE_MARGIN).unwrap_or(fetched_at), false))
            }
            None => Ok((self.window(self.options.days.min(FLOOR_DAYS))?.from, true)),
        }
    }

    /// The token owner's own entries of the days before Toggl's floor.
    async fn older_entries(
        &mut self,
        workspace_ids: &[i64],
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        let today = self.progress.today;
        let from = first_of(self.options.days, today)?;
        let to = first_of(FLOOR_DAYS, today)?;
        let Some(resource) = CATALOGUE.iter().find(|r| r.paging == Paging::Report) else {
            return Ok(());
        };
        let before = tally.records;
        for workspace_id in workspace_ids.iter().copied() {
            if self.progress.done(resource, workspace_id).is_some() {
                continue;
            }
            let session = &self.session;
            let report = Report {
                client: session.client,
                publisher: session.publisher,
                state: session.state,
                resource,
                workspace_id,
                scope: Scope::User(session.account.id),
            };
            let already = tally.records;
            report.run(from, Some(to), today, false, tally).await?;
            self.progress.finish(resource, workspace_id, tally.records - already);
        }
        self.result.report_count = Some(tally.records - before);
        Ok(())
    }
}
