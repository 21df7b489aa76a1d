//! The time entries of a sync: windows by start, changes wherever they started, and from reports what
//! is too old for either.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use shared::batch::Record;
use shared::catalogue::CATALOGUE;
use shared::listing::Listing;
use shared::resource::{Paging, Resource};
use shared::telemetry::TIME_ENTRIES;
use tracing::{info, warn};

use super::Sync;
use super::history::read;
use super::lists::{Outcome, refused};
use crate::outcome::{SyncError, Tally};
use crate::report::{Report, Scope, Stopped};
use crate::state::Since;
use crate::time_entries::{FLOOR_DAYS, Window, Windows, changes, first_of};
use crate::toggl;

/// How much further back than the last request changes are asked for: more than two clocks differ by,
/// and than Toggl takes to show a change.
const SINCE_MARGIN: SignedDuration = SignedDuration::from_mins(15);

/// Versions of entries that a window has just sent: id, time of change, time of deletion.
type Sent = HashSet<(i64, Option<Timestamp>, Option<Timestamp>)>;

const fn version(record: &Record) -> (i64, Option<Timestamp>, Option<Timestamp>) {
    (record.source_id, record.modified_at, record.deleted_at)
}

/// Since when changes are asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    since: Timestamp,
    /// No sync has asked before.
    is_first: bool,
    /// Nothing between the last sync's request and this one is left out.
    reaches_the_last: bool,
}

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
            Ok(()) if self.options.days > FLOOR_DAYS => self.older_entries(workspace_ids).await,
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
                    for at in windows.crowded() {
                        let reason = format!("more start in the second of {at} than Toggl lists");
                        tally.incomplete.push((resource.name, reason));
                    }
                    self.progress.windows = Some(Vec::new());
                    return Ok(count);
                }
                Ok(Some(listing)) => {
                    sent.extend(listing.records.iter().map(version));
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
        let asked = self.asked_since()?;
        if let Some(fetched_at) = self.progress.changes_at {
            // An interrupted run had them, and the windows it went on to have been read by now.
            return self.note_changes(resource, asked, fetched_at, tally).await;
        }
        let floor = self.window(FLOOR_DAYS)?;
        let since = asked.since.max(floor.from);
        let (listing, is_all) =
            changes(self.session.client, resource, since).await.map_err(Stopped::Toggl)?;
        let fetched_at = listing.fetched_at;
        let records = listing.records.into_iter().filter(|r| !sent.contains(&version(r)));
        let listing = Listing { records: records.collect(), ..listing };
        let count = tally.send(self.session.publisher, listing).await?;
        info!(target: TIME_ENTRIES, "Sent {count} other {} changed since {since:.0}", resource.name);
        // The first sync has nothing older to put right.
        if is_all || asked.is_first {
            self.save_since(asked, fetched_at).await?;
            return Ok(());
        }
        warn!(
            target: TIME_ENTRIES,
            "More {} have changed than Toggl lists at once, reading the last {FLOOR_DAYS} days whole",
            resource.name
        );
        self.progress.changes_at = Some(fetched_at);
        self.send_windows(resource, vec![floor], tally, sent).await?;
        self.note_changes(resource, asked, fetched_at, tally).await
    }

    /// So many entries have changed that whole windows were read instead: what has changed among those
    /// too old for that nobody knows.
    async fn note_changes(
        &self,
        resource: &'static Resource,
        asked: Asked,
        fetched_at: Timestamp,
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        let reason = format!(
            "more have changed at once than Toggl lists; if some of them are older than {FLOOR_DAYS} \
             days, `fetcher report` brings their changes"
        );
        tally.incomplete.push((resource.name, reason));
        self.save_since(asked, fetched_at).await
    }

    async fn save_since(&self, asked: Asked, fetched_at: Timestamp) -> Result<(), Stopped> {
        if asked.reaches_the_last {
            let key = Since::key(self.session.account.id);
            self.session.state.save(&key, &Since { fetched_at }).await?;
        }
        Ok(())
    }

    /// The last sync's request, less a margin; the first sync asks for the changes of its own days.
    fn asked_since(&self) -> Result<Asked, jiff::Error> {
        let last = self.last_since;
        let days = match (self.options.since_days, last) {
            (Some(days), _) => days,
            (None, None) => self.options.days.min(FLOOR_DAYS),
            (None, Some(Since { fetched_at })) => {
                let since = fetched_at.checked_sub(SINCE_MARGIN).unwrap_or(fetched_at);
                return Ok(Asked { since, is_first: false, reaches_the_last: true });
            }
        };
        let since = self.window(days)?.from;
        Ok(Asked {
            since,
            is_first: self.options.since_days.is_none(),
            reaches_the_last: last.is_none_or(|last| since <= last.fetched_at),
        })
    }

    /// The token owner's own entries of the days before Toggl's floor, in the chosen workspaces.
    async fn older_entries(&mut self, workspace_ids: &[i64]) -> Result<(), Stopped> {
        let today = self.progress.today;
        let from = first_of(self.options.days, today)?;
        let to = first_of(FLOOR_DAYS, today)?;
        let Some(resource) = CATALOGUE.iter().find(|r| r.paging == Paging::Report) else {
            return Ok(());
        };
        let mut count = 0;
        for workspace_id in workspace_ids.iter().copied() {
            if let Some(records) = self.progress.done(resource, workspace_id) {
                count += records;
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
                from,
                to: Some(to),
                today,
            };
            let mut of_workspace = Tally::default();
            let outcome = read(&report, false, &mut of_workspace).await;
            if matches!(outcome, Ok(Outcome::Sent(_))) {
                report.forget().await?;
            }
            count += of_workspace.records;
            self.result.add(&mut of_workspace);
            match outcome.map_err(Stopped::Run)? {
                Outcome::Sent(records) => self.progress.finish(resource, workspace_id, records),
                Outcome::Skipped(reason) => self.skip(resource, reason),
                Outcome::Failed(reason) => self.fail(resource, reason),
                Outcome::OutOfQuota(error, ..) => self.out_of_quota(error),
            }
        }
        self.result.report_count = Some(count);
        Ok(())
    }
}
