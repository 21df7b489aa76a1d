//! The time entries of a sync: windows by start, changes wherever they started, and from reports what
//! is too old for either.

use shared::catalogue::CATALOGUE;
use shared::listing::Listing;
use shared::resource::{Paging, Resource};
use shared::telemetry::TIME_ENTRIES;
use tracing::info;

mod changes;
mod sent;

pub(super) use self::changes::SINCE_MARGIN;
use self::sent::{Emptied, Entries, version};
use super::Sync;
use super::lists::{Outcome, refused};
use super::named::Named;
use crate::outcome::SyncError;
use crate::report::Stopped;
use crate::state::{SeenStarts, WindowProgress};
use crate::time_entries::{FLOOR_DAYS, Windows, of_workspaces};
use crate::toggl;
use crate::window::Window;

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
        self.settle_entries(resource, entries, outcome)
    }

    /// What has changed since the last run, and what that names; windows only where a run that read them was
    /// interrupted.
    pub(super) async fn changed_entries(
        &mut self,
        resource: &'static Resource,
    ) -> Result<Named, SyncError> {
        let mut entries = Entries { named: Some(Named::default()), ..Entries::default() };
        let outcome = match self.progress.windows {
            Some(_) => self.windows(resource, &mut entries).await,
            None => Ok(()),
        };
        let outcome = match outcome {
            Ok(()) => self.changes(resource, &mut entries).await,
            stopped => stopped,
        };
        if let Err(Stopped::Toggl(error)) = &outcome
            && error.is_closed()
        {
            self.session.confirm_token().await?;
        }
        let of_windows = self.progress.windows.as_ref().map_or(0, |windows| windows.records);
        self.result.time_entries_count = entries.changed + of_windows;
        let named = entries.named.take().unwrap_or_default();
        self.settle_entries(resource, entries, outcome)?;
        Ok(named)
    }

    /// Notes what came of the entries.
    fn settle_entries(
        &mut self,
        resource: &'static Resource,
        mut entries: Entries,
        outcome: Result<(), Stopped>,
    ) -> Result<(), SyncError> {
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
                    entries.note_names(&listing);
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
}

fn note_starts(seen: &mut SeenStarts, window: Window, listing: &Listing) {
    let starts = listing.records.iter().filter_map(|record| record.started_at);
    seen.note((window.from, window.to), starts, listing.fetched_at);
}
