//! The time entries of a sync: windows by start, changes wherever they started, and from reports what
//! is too old for either.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use shared::batch::Record;
use shared::catalogue::CATALOGUE;
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource};
use shared::telemetry::TIME_ENTRIES;
use tracing::{info, warn};

use super::Sync;
use super::lists::{Outcome, refused};
use crate::outcome::{SyncError, Tally};
use crate::report::Stopped;
use crate::state::{Emptiness, SeenStarts, Since, WindowProgress};
use crate::time_entries::{FLOOR_DAYS, Window, Windows, changes, of_workspaces};
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
    /// Nothing between the last sync's request and this one is left out, but for what Toggl no longer tells.
    reaches_the_last: bool,
    /// The last sync, if it was before the days that Toggl still tells of.
    too_long_ago: Option<Timestamp>,
}

/// What a run has sent of time entries.
#[derive(Default)]
struct Entries {
    tally: Tally,
    sent: Sent,
    emptied: Vec<Emptied>,
}

/// A window that is empty and had entries the last time.
struct Emptied {
    window: Window,
    /// When that was.
    at: Timestamp,
    /// The hours with entries, as seconds since 1970.
    filled: Vec<(i64, i64)>,
}

impl Sync<'_> {
    pub(super) async fn time_entries(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let selection = &self.options.selection;
        let chosen = |r: &&Resource| r.paging == Paging::Windows && selection.has(r);
        let Some(resource) = CATALOGUE.iter().find(chosen) else {
            return Ok(());
        };
        let mut entries = Entries::default();
        let outcome = match self.windows(resource, &mut entries).await {
            Ok(()) => self.changes(resource, &mut entries).await,
            stopped => stopped,
        };
        let outcome = match outcome {
            Ok(()) if self.options.days > FLOOR_DAYS => self.older_entries(workspace_ids).await,
            outcome => outcome,
        };
        self.result.add(&mut entries.tally);
        for Emptied { window, at, .. } in entries.emptied {
            let reason = format!(
                "Toggl lists none since {}, and listed some at {}; that is believed if the next run finds \
                 none too",
                window.from.strftime("%Y-%m-%d %H:%M UTC"),
                at.strftime("%Y-%m-%d %H:%M UTC")
            );
            self.doubt(resource, reason);
        }
        match outcome {
            Ok(()) => {}
            Err(Stopped::Run(error)) => return Err(error),
            Err(Stopped::Toggl(error @ toggl::Error::Quota { .. })) => self.out_of_quota(error),
            Err(Stopped::Toggl(error)) => match refused(error)? {
                Outcome::Skipped(refusal) => self.skip(resource, refusal.reason),
                Outcome::Failed(reason) => self.fail(resource, reason),
                Outcome::Sent(_) | Outcome::OutOfQuota(..) => {}
            },
        }
        Ok(())
    }

    async fn windows(
        &mut self,
        resource: &'static Resource,
        entries: &mut Entries,
    ) -> Result<(), Stopped> {
        let days = self.options.days;
        let now = self.session.client.now();
        let begun = match self.progress.windows.take() {
            Some(begun) => begun,
            None => WindowProgress {
                at: now,
                ahead: vec![self.window(days.min(FLOOR_DAYS))?],
                records: 0,
            },
        };
        let (at, records) = (begun.at, begun.records);
        if begun.ahead.is_empty() {
            self.result.earlier.push((resource.name, at));
        }
        self.send_windows(resource, begun, entries).await?;
        let count = self.progress.windows.as_ref().map_or(records, |windows| windows.records);
        self.result.time_entries_count = count;
        info!(target: TIME_ENTRIES, "Sent {count} {} of {days} days", resource.name);
        Ok(())
    }

    fn window(&self, days: u32) -> Result<Window, jiff::Error> {
        Window::last_days(days, self.today, &self.session.account.zone())
    }

    /// Reads the windows that are ahead, and writes down how far that came.
    async fn send_windows(
        &mut self,
        resource: &'static Resource,
        begun: WindowProgress,
        entries: &mut Entries,
    ) -> Result<(), Stopped> {
        let WindowProgress { at, ahead, mut records } = begun;
        let session = &self.session;
        let key = format!("windows.{}", session.account.id);
        let mut seen: SeenStarts =
            session.state.load(&key).await?.unwrap_or_else(SeenStarts::by_hours);
        let mut windows = Windows::new(session.client, resource, session.account.id, ahead);
        let stopped = loop {
            match windows.next().await {
                Ok(None) => break None,
                Err(error) => break Some(Stopped::Toggl(error)),
                Ok(Some((window, listing))) => {
                    let listing = entries.proven(window, listing, &seen);
                    note_starts(&mut seen, window, &listing);
                    entries.sent.extend(listing.records.iter().map(version));
                    for part in of_workspaces(listing, self.chosen()) {
                        records += entries.tally.send(session.publisher, part).await?;
                    }
                }
            }
        };
        session.state.save(&key, &seen).await?;
        for at in windows.crowded() {
            let reason = format!("more start in the second of {at} than Toggl lists");
            entries.tally.uncertain.push((resource.name, reason));
        }
        let ahead = windows.ahead().to_vec();
        self.progress.windows = Some(WindowProgress { at, ahead, records });
        stopped.map_or(Ok(()), Err)
    }

    /// Entries that have changed or were deleted since the last sync, whenever they started. What a
    /// window of this run has just sent in the same version is not sent again.
    async fn changes(
        &mut self,
        resource: &'static Resource,
        entries: &mut Entries,
    ) -> Result<(), Stopped> {
        let asked = self.asked_since()?;
        if let Some(fetched_at) = self.progress.changes_at {
            // An interrupted run had them, and the windows it went on to have been read by now.
            self.send_changes(resource, fetched_at, entries).await?;
            return self.note_changes(resource, asked, fetched_at, &mut entries.tally).await;
        }
        let (fetched_at, is_all) = self.send_changes(resource, asked.since, entries).await?;
        if let Some(last) = asked.too_long_ago {
            warn!(target: TIME_ENTRIES, "{}", told_no_more(last, asked.since));
            entries.tally.uncertain.push((resource.name, told_no_more(last, asked.since)));
        }
        if is_all {
            return self.save_since(asked, fetched_at).await;
        }
        warn!(
            target: TIME_ENTRIES,
            "More {} have changed than Toggl lists at once, reading the last {FLOOR_DAYS} days whole",
            resource.name
        );
        self.progress.changes_at = Some(fetched_at);
        let counted = self.progress.windows.as_ref().map_or(0, |windows| windows.records);
        // The later days have just been read.
        let to = self.window(self.options.days.min(FLOOR_DAYS))?.from;
        let window = Window { to, ..self.window(FLOOR_DAYS)? };
        let ahead = if window.from < window.to { vec![window] } else { Vec::new() };
        let reads_more = !ahead.is_empty();
        let begun = WindowProgress { at: fetched_at, ahead, records: 0 };
        let outcome = self.send_windows(resource, begun, entries).await;
        if let (Ok(()), Some(windows)) = (&outcome, &mut self.progress.windows) {
            windows.records = counted;
        }
        outcome?;
        if reads_more {
            // An entry that was moved meanwhile may be in no window that was read.
            self.send_changes(resource, fetched_at, entries).await?;
        }
        self.note_changes(resource, asked, fetched_at, &mut entries.tally).await
    }

    /// Sends what has changed since then and was not sent yet; when that was asked for, and whether that is all.
    async fn send_changes(
        &self,
        resource: &'static Resource,
        since: Timestamp,
        entries: &mut Entries,
    ) -> Result<(Timestamp, bool), Stopped> {
        let (listing, is_all) =
            changes(self.session.client, resource, since).await.map_err(Stopped::Toggl)?;
        let fetched_at = listing.fetched_at;
        entries.explain_emptiness(&listing);
        let records = listing.records.into_iter().filter(|r| !entries.sent.contains(&version(r)));
        let listing = Listing { records: records.collect(), ..listing };
        let mut count = 0;
        for part in of_workspaces(listing, self.chosen()) {
            count += entries.tally.send(self.session.publisher, part).await?;
        }
        info!(
            target: TIME_ENTRIES,
            "Sent {count} other {} changed since {since:.0}", resource.name
        );
        Ok((fetched_at, is_all))
    }

    /// So many entries have changed that whole windows were read instead: what has changed among those
    /// too old for that nobody knows. The first sync has nothing older to put right.
    async fn note_changes(
        &self,
        resource: &'static Resource,
        asked: Asked,
        fetched_at: Timestamp,
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        if !asked.is_first {
            let reason = format!(
                "more have changed at once than Toggl lists; if some of them are older than {FLOOR_DAYS} \
                 days, `fetcher report` brings their changes"
            );
            tally.uncertain.push((resource.name, reason));
        }
        self.save_since(asked, fetched_at).await
    }

    async fn save_since(&self, asked: Asked, fetched_at: Timestamp) -> Result<(), Stopped> {
        if asked.reaches_the_last {
            let key = Since::key(self.session.account.id);
            self.session.state.save(&key, &Since { fetched_at }).await?;
        }
        Ok(())
    }

    /// The last sync's request, less a margin; the first sync asks for all changes that Toggl still tells.
    fn asked_since(&self) -> Result<Asked, jiff::Error> {
        let now = self.session.client.now();
        let floor = self.window(FLOOR_DAYS)?.from;
        // One from the future was written by a clock that was wrong.
        let last = self
            .last_since
            .map(|last| last.fetched_at)
            .filter(|last| last.duration_since(now) <= SINCE_MARGIN);
        if let Some(days) = self.options.since_days {
            let since = self.window(days)?.from;
            let reaches_the_last = last.is_none_or(|last| since <= last);
            return Ok(Asked { since, is_first: false, reaches_the_last, too_long_ago: None });
        }
        let since = last.and_then(|last| last.checked_sub(SINCE_MARGIN).ok()).unwrap_or(floor);
        Ok(Asked {
            since: since.max(floor),
            is_first: last.is_none(),
            reaches_the_last: true,
            too_long_ago: last.filter(|last| *last < floor),
        })
    }
}

impl Entries {
    /// An answer with what it may claim: one without entries only where there were none before.
    fn proven(&mut self, window: Window, listing: Listing, seen: &SeenStarts) -> Listing {
        if !listing.records.is_empty() || !listing.rejected.is_empty() {
            return listing;
        }
        match seen.emptiness(window.from, window.to) {
            Emptiness::Believed => return listing,
            Emptiness::New => {}
            Emptiness::Doubted { at, filled } => {
                self.emptied.push(Emptied { window, at, filled });
            }
        }
        Listing { span: Span::Partial, ..listing }
    }

    /// A window is empty for good reason where an entry of each hour that had some is told to be deleted.
    fn explain_emptiness(&mut self, changes: &Listing) {
        let is_deleted_in = |(from, to): &(i64, i64)| {
            changes.records.iter().any(|record| {
                record.deleted_at.is_some()
                    && record.started_at.is_some_and(|at| (*from..*to).contains(&at.as_second()))
            })
        };
        self.emptied.retain(|emptied| !emptied.filled.iter().all(is_deleted_in));
    }
}

fn note_starts(seen: &mut SeenStarts, window: Window, listing: &Listing) {
    let starts = listing.records.iter().filter_map(|record| record.started_at);
    seen.note((window.from, window.to), starts, listing.fetched_at);
}

/// What a sync that comes late can no longer ask for, and how to get it.
fn told_no_more(last: Timestamp, since: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    format!(
        "the last sync was on {}, and Toggl tells no changes from before {}: `fetcher report --from {}` brings \
         what started since then, an earlier --from the edits of older entries",
        day(last),
        day(since),
        day(last)
    )
}
