//! What was read of lists whose records others name, written down for runs that ask for changes alone.

use jiff::Timestamp;
use shared::resource::Resource;

use crate::lists::Fetched;
use crate::orchestrator::Sync;
use crate::orchestrator::named::is_named;
use crate::outcome::SyncError;
use crate::state::Known;

/// The ids that a listing brought.
pub(in crate::orchestrator) struct KnownList {
    resource: &'static Resource,
    workspace_id: i64,
    at: Timestamp,
    ids: Vec<i64>,
    /// Whether that is all there are.
    is_whole: bool,
}

impl KnownList {
    /// None of lists whose records nobody names.
    pub(super) fn of(fetched: &Fetched) -> Option<Self> {
        let listing = &fetched.listing;
        is_named(listing.resource).then(|| Self {
            resource: listing.resource,
            workspace_id: listing.workspace_id,
            at: listing.fetched_at,
            ids: listing.records.iter().map(|record| record.source_id).collect(),
            is_whole: fetched.seen.is_some(),
        })
    }
}

impl Sync<'_> {
    pub(super) async fn save_known(&mut self) -> Result<(), SyncError> {
        for KnownList { resource, workspace_id, at, ids, is_whole } in self.known.drain(..) {
            let key = Known::key(workspace_id, resource.name);
            let note = |known: &mut Known| {
                if is_whole {
                    *known = Known::whole(at, ids.iter().copied());
                } else {
                    known.learn(ids.iter().copied());
                }
                true
            };
            self.session.state.change(&key, note).await?;
        }
        Ok(())
    }
}
