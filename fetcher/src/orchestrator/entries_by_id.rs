//! Entries of anybody by their ids, and what is told of those that are gone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;
use shared::catalogue;
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource, Scope};

use crate::lists::check_shape;
use crate::outcome::{SyncError, Tally};
use crate::publisher::{PublishError, Publisher};
use crate::record::read_answer;
use crate::report::looked_at;
use crate::state::Cursor;
use crate::toggl::{Client, Error};

/// Entries that are asked for at once: as many as a page has.
pub(super) const AT_ONCE: usize = 1_000;

/// Whose entries are asked for, and where they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntriesById<'a> {
    pub(super) client: &'a Client,
    pub(super) publisher: &'a Publisher,
    pub(super) workspace_id: i64,
}

/// Entries that Toggl did not show.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) ids: Vec<i64>,
    pub(super) fetched_at: Option<Timestamp>,
}

/// Why entries were not read.
pub(super) enum EntriesError {
    Toggl(Error),
    Run(SyncError),
}

impl From<Error> for EntriesError {
    fn from(error: Error) -> Self {
        Self::Toggl(error)
    }
}

impl From<PublishError> for EntriesError {
    fn from(error: PublishError) -> Self {
        Self::Run(error.into())
    }
}

impl EntriesById<'_> {
    /// Asks for entries by their ids, wherever they are now, and sends them.
    pub(super) async fn read(
        self,
        ids: &[i64],
        tally: &mut Tally,
    ) -> Result<Missing, EntriesError> {
        let Some(resource) = catalogue::CATALOGUE.iter().find(|r| r.paging == Paging::Report)
        else {
            return Ok(Missing::default());
        };
        let Self { client, publisher, workspace_id } = self;
        let path = resource.path.replace("{workspace}", &workspace_id.to_string());
        let path = format!("{}{path}", resource.api.prefix());
        let question = json!({
            "time_entry_ids": ids, "order_by": "date", "order_dir": "ASC", "grouped": false, "rounding": 0,
            "rounding_minutes": 0, "hide_amounts": false, "enrich_response": false, "page_size": AT_ONCE,
        });
        let answer = client.post(&path, &question).await?;
        let page = read_answer(client, resource, &path, &answer.body)?;
        check_shape(&path, page.records.len(), &page.rejected)?;
        let has_more = Cursor::after(&answer.headers).map_err(|_| Error::NextPage { path })?;
        let found: BTreeSet<i64> = page.records.iter().map(|record| record.source_id).collect();
        let is_whole =
            has_more.is_none() && looked_at(&answer.headers).is_none() && page.rejected.is_empty();
        let listing = Listing {
            resource,
            workspace_id,
            fetched_at: answer.fetched_at,
            span: Span::Partial,
            records: page.records,
            rejected: page.rejected,
        };
        let sent = tally.send(publisher, listing).await?;
        tally.records += sent;
        let ids = ids.iter().filter(|id| is_whole && !found.contains(id)).copied().collect();
        Ok(Missing { ids, fetched_at: Some(answer.fetched_at) })
    }
}

/// That nothing has that id since then.
pub(super) fn gone_record(
    resource: &'static Resource,
    workspace_id: i64,
    (id, fetched_at): (i64, Timestamp),
) -> Listing {
    let workspace_id = if resource.scope == Scope::Account { 0 } else { workspace_id };
    let (records, rejected) = (Vec::new(), Vec::new());
    Listing { resource, workspace_id, fetched_at, span: Span::Id(id), records, rejected }
}
