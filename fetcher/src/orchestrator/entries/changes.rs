//! What has changed of time entries since the last sync, whenever they started.

use jiff::{SignedDuration, Timestamp};
use shared::listing::Listing;
use shared::resource::Resource;
use shared::telemetry::TIME_ENTRIES;
use tracing::{info, warn};

use super::{Entries, version};
use crate::orchestrator::{Extent, Sync};
use crate::report::Stopped;
use crate::state::{Since, WindowProgress};
use crate::time_entries::{FLOOR_DAYS, changes, of_workspaces};
use crate::window::Window;

/// How much further back than the last request changes are asked for: more than two clocks differ by,
/// and than Toggl takes to show a change.
pub(in crate::orchestrator) const SINCE_MARGIN: SignedDuration = SignedDuration::from_mins(15);

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

impl Sync<'_> {
    /// Entries that have changed or were deleted since the last sync, whenever they started. What a
    /// window of this run has just sent in the same version is not sent again.
    pub(super) async fn changes(
        &mut self,
        resource: &'static Resource,
        entries: &mut Entries,
    ) -> Result<(), Stopped> {
        let asked = self.asked_since()?;
        if let Some(fetched_at) = self.progress.changes_at {
            // An interrupted run had them, and the windows it went on to have been read by now.
            self.send_changes(resource, fetched_at, entries).await?;
            return self.note_changes(resource, asked, fetched_at, entries).await;
        }
        let (fetched_at, is_all) = self.send_changes(resource, asked.since, entries).await?;
        if self.extent != Extent::Whole {
            // Toggl has told by now what time it is.
            self.today = self.session.today();
        }
        if let Some(last) = asked.too_long_ago {
            warn!(target: TIME_ENTRIES, "{}", told_no_more(last, asked.since));
            entries.tally.uncertain.push((resource.name, told_no_more(last, asked.since)));
        }
        if is_all {
            return self.save_since(asked, fetched_at, entries).await;
        }
        warn!(
            target: TIME_ENTRIES,
            "More {} have changed than Toggl lists at once, reading the last {FLOOR_DAYS} days whole",
            resource.name
        );
        self.progress.changes_at = Some(fetched_at);
        let counted = self.progress.windows.as_ref().map_or(0, |windows| windows.records);
        let all = self.window(FLOOR_DAYS)?;
        let to = match self.extent {
            // The later days have just been read.
            Extent::Whole => self.window(self.options.days.min(FLOOR_DAYS))?.from,
            Extent::Changes { .. } | Extent::Lists => all.to,
        };
        let window = Window { to, ..all };
        let ahead = if window.from < window.to { vec![window] } else { Vec::new() };
        let reads_more = !ahead.is_empty();
        let begun = WindowProgress { at: fetched_at, ahead, records: 0 };
        let outcome = self.send_windows(resource, begun, entries).await;
        if self.extent == Extent::Whole
            && let (Ok(()), Some(windows)) = (&outcome, &mut self.progress.windows)
        {
            windows.records = counted;
        }
        outcome?;
        if reads_more {
            // An entry that was moved meanwhile may be in no window that was read.
            self.send_changes(resource, fetched_at, entries).await?;
        }
        self.note_changes(resource, asked, fetched_at, entries).await
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
        entries.note_names(&listing);
        entries.note_newest(&listing);
        let records = listing.records.into_iter().filter(|r| !entries.sent.contains(&version(r)));
        let listing = Listing { records: records.collect(), ..listing };
        let mut count = 0;
        for part in of_workspaces(listing, self.chosen()) {
            // That nothing has changed is news only where nothing else is read.
            if self.extent == Extent::Whole && part.records.is_empty() && part.rejected.is_empty() {
                continue;
            }
            count += entries.tally.send(self.session.publisher, part).await?;
        }
        entries.changed += count;
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
        entries: &mut Entries,
    ) -> Result<(), Stopped> {
        if !asked.is_first {
            let reason = format!(
                "more have changed at once than Toggl lists; if some of them are older than {FLOOR_DAYS} \
                 days, `fetcher report` brings their changes"
            );
            entries.tally.uncertain.push((resource.name, reason));
        }
        self.save_since(asked, fetched_at, entries).await
    }

    async fn save_since(
        &self,
        asked: Asked,
        fetched_at: Timestamp,
        entries: &Entries,
    ) -> Result<(), Stopped> {
        if asked.reaches_the_last {
            let key = Since::key(self.session.account.id);
            let known = self.last_since.and_then(|last| last.newest_change);
            let newest_change = entries.newest_change.max(known);
            self.session.state.save(&key, &Since { fetched_at, newest_change }).await?;
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
