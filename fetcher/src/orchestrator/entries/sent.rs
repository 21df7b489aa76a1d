//! What a run has sent of time entries.

use std::collections::HashSet;

use jiff::Timestamp;
use shared::batch::Record;
use shared::listing::{Listing, Span};

use crate::orchestrator::named::Named;
use crate::outcome::Tally;
use crate::state::{Emptiness, SeenStarts};
use crate::window::Window;

/// Versions of entries that a window has just sent: id, time of change, time of deletion.
pub(super) type Sent = HashSet<(i64, Option<Timestamp>, Option<Timestamp>)>;

pub(super) const fn version(record: &Record) -> (i64, Option<Timestamp>, Option<Timestamp>) {
    (record.source_id, record.modified_at, record.deleted_at)
}

/// What a run has sent of time entries.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) tally: Tally,
    pub(super) sent: Sent,
    /// Of those, how many came as changes.
    pub(super) changed: usize,
    /// The newest of these changes.
    pub(super) newest_change: Option<Timestamp>,
    /// What they name, where somebody wants to know.
    pub(super) named: Option<Named>,
    pub(super) emptied: Vec<Emptied>,
}

/// A window that is empty and had entries the last time.
pub(super) struct Emptied {
    pub(super) window: Window,
    /// When that was.
    pub(super) at: Timestamp,
    /// The hours with entries, as seconds since 1970.
    pub(super) filled: Vec<(i64, i64)>,
}

impl Entries {
    pub(super) fn note_names(&mut self, listing: &Listing) {
        if let Some(named) = &mut self.named {
            for record in &listing.records {
                named.note(record.workspace_id.unwrap_or(listing.workspace_id), record);
            }
        }
    }

    pub(super) fn note_newest(&mut self, listing: &Listing) {
        let newest = listing.records.iter().filter_map(|record| record.modified_at).max();
        self.newest_change = self.newest_change.max(newest);
    }

    /// An answer with what it may claim: one without entries only where there were none before.
    pub(super) fn proven(
        &mut self,
        window: Window,
        listing: Listing,
        seen: &SeenStarts,
    ) -> Listing {
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
    pub(super) fn explain_emptiness(&mut self, changes: &Listing) {
        let is_deleted_in = |(from, to): &(i64, i64)| {
            changes.records.iter().any(|record| {
                record.deleted_at.is_some()
                    && record.started_at.is_some_and(|at| (*from..*to).contains(&at.as_second()))
            })
        };
        self.emptied.retain(|emptied| !emptied.filled.iter().all(is_deleted_in));
    }
}
