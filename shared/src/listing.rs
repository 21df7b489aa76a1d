//! From one listing to batches: how records are cut into messages, and what each may claim.
//!
//! A claim is made only from a listing whose every page succeeded; whoever builds a [`Listing`]
//! with a span other than [`Span::Partial`] vouches for that.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::batch::{Batch, Coverage, Record, Rejected, VERSION};
use crate::resource::Resource;

/// Most records in a batch. What a batch costs beside its records, a few round trips and a commit, weighs
/// little then, and Postgres takes more at once no faster.
pub const MAX_RECORDS: usize = 2_500;

/// Most bytes in a message: half of NATS' default limit.
pub const MAX_BYTES: usize = 512 * 1024;

/// How many times Toggl's JSON packs, at least: four to eight times as a rule. A batch that does not is
/// cut again, see [`Batch::cut_again`].
const PACKING: usize = 3;

/// Of a message's bytes, what is kept for the envelope and for what zstd adds to records that it
/// cannot pack (1/256 and a frame header).
const ENVELOPE_SHARE: usize = 16;

/// What MessagePack adds to a record's JSON at most: field names, integers, headers.
const RECORD_OVERHEAD: usize = 136;

/// What a listing is complete for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Nothing.
    Partial,
    /// Every record of the workspace.
    Ids,
    /// The record of that id: where the listing does not hold it, there is none.
    Id(i64),
    /// Every entry that starts in `[from, to)`, of that user if there is one.
    Starts {
        /// Inclusive.
        from: Timestamp,
        /// Exclusive.
        to: Timestamp,
        /// None for everybody in the workspace.
        user_id: Option<i64>,
    },
}

/// The whole answer to one question, over all its pages.
#[derive(Debug, Clone)]
pub struct Listing {
    /// What was asked for.
    pub resource: &'static Resource,
    /// Workspace asked; 0 for account-level requests.
    pub workspace_id: i64,
    /// Just before the first request was sent.
    pub fetched_at: Timestamp,
    /// What it is complete for.
    pub span: Span,
    /// In any order; an id that stands twice (a list that shifted between pages) is kept once, in
    /// its newest form.
    pub records: Vec<Record>,
    /// What no record could be made of. It goes out in batches of its own that claim nothing.
    pub rejected: Vec<Rejected>,
}

impl Listing {
    /// Cuts the listing into batches under [`MAX_RECORDS`], and, if they pack as Toggl's JSON does, under
    /// [`MAX_BYTES`] or `max_payload`, the server's limit, when encoded. They are numbered from
    /// `first_part`.
    ///
    /// Together the batches hold every id once and claim exactly the span, less the starts that no
    /// single message could vouch for. A listing yields at least one batch, for "there is nothing" and "nothing
    /// has changed" are news too. A record larger than the limit gets a batch of its own.
    pub fn into_batches(self, run_id: Uuid, first_part: u32, max_payload: usize) -> Vec<Batch> {
        let Self { resource, workspace_id, fetched_at, span, records, rejected } = self;
        let records = newest_of_each_id(records);
        let limit = Limit::of(max_payload);
        let packed = Limit { bytes: limit.bytes * PACKING };
        let mut cuts = packed.cut(&span.coverage(), records);
        if cuts.is_empty() && rejected.is_empty() {
            cuts.push((Coverage::Partial, Vec::new()));
        }
        let cuts = cuts.into_iter().map(|(coverage, records)| (coverage, records, Vec::new()));
        let rejected = limit.chunk(rejected, apart).into_iter();
        let rejected = rejected.map(|rejected| (Coverage::Partial, Vec::new(), rejected));
        (first_part..)
            .zip(cuts.chain(rejected))
            .map(|(part, (coverage, records, rejected))| Batch {
                version: VERSION,
                run_id,
                resource: resource.name.to_owned(),
                workspace_id,
                api_version: resource.api.version().to_owned(),
                fetched_at,
                part,
                coverage,
                records,
                rejected,
            })
            .collect()
    }
}

impl Span {
    const fn coverage(self) -> Coverage {
        match self {
            Self::Partial => Coverage::Partial,
            Self::Ids => Coverage::Ids { after: None, through: None },
            Self::Id(id) => Coverage::Ids { after: id.checked_sub(1), through: Some(id) },
            Self::Starts { from, to, user_id } => Coverage::Starts { from, to, user_id },
        }
    }
}

impl Batch {
    /// Cuts a batch that has not packed as expected into batches that need no packing to be under the
    /// limits of [`Listing::into_batches`]. They hold and claim the same together. The first one keeps
    /// the number, the others are given theirs.
    pub fn cut_again(self, max_payload: usize, mut next_part: impl FnMut() -> u32) -> Vec<Self> {
        let Self { part, coverage, records, .. } = self;
        let cuts = Limit::of(max_payload).cut(&coverage, records).into_iter().enumerate();
        cuts.map(|(place, (coverage, records))| Self {
            version: self.version,
            run_id: self.run_id,
            resource: self.resource.clone(),
            workspace_id: self.workspace_id,
            api_version: self.api_version.clone(),
            fetched_at: self.fetched_at,
            part: if place == 0 { part } else { next_part() },
            coverage,
            records,
            rejected: Vec::new(),
        })
        .collect()
    }
}

type Cut = (Coverage, Vec<Record>);

/// Where no id stands twice, as usual, the records as they are.
fn newest_of_each_id(records: Vec<Record>) -> Vec<Record> {
    let mut ids: Vec<i64> = records.iter().map(|record| record.source_id).collect();
    ids.sort_unstable();
    if ids.is_sorted_by(|a, b| a < b) {
        return records;
    }
    let mut place = HashMap::with_capacity(records.len());
    let mut kept: Vec<Record> = Vec::with_capacity(records.len());
    for record in records {
        let at = *place.entry(record.source_id).or_insert(kept.len());
        match kept.get_mut(at) {
            Some(other) if other.modified_at <= record.modified_at => *other = record,
            Some(_) => {}
            None => kept.push(record),
        }
    }
    kept
}

/// How much a batch may hold before compression.
#[derive(Clone, Copy)]
struct Limit {
    bytes: usize,
}

impl Limit {
    /// What goes out under the limits even where nothing packs.
    fn of(max_payload: usize) -> Self {
        let most = max_payload.min(MAX_BYTES);
        Self { bytes: most - most / ENVELOPE_SHARE }
    }

    fn cut(self, coverage: &Coverage, records: Vec<Record>) -> Vec<Cut> {
        match *coverage {
            Coverage::Partial => self.cut_partial(records),
            Coverage::Ids { after, through } => self.cut_by_id(records, after, through),
            Coverage::Starts { from, to, user_id } => self.cut_by_start(records, from, to, user_id),
        }
    }

    /// Cuts into chunks under the limit. What stands side by side and belongs `together` stays so; a
    /// group over the limit is a chunk of its own.
    fn chunk<T: Encoded>(self, items: Vec<T>, together: impl Fn(&T, &T) -> bool) -> Vec<Vec<T>> {
        let mut lengths: Vec<usize> = Vec::new();
        let mut bytes = 0;
        for group in items.chunk_by(together) {
            let more = encoded_bytes(group);
            match lengths.last_mut() {
                Some(last) if *last + group.len() <= MAX_RECORDS && bytes + more <= self.bytes => {
                    bytes += more;
                    *last += group.len();
                }
                _ => {
                    bytes = more;
                    lengths.push(group.len());
                }
            }
        }
        if lengths.len() == 1 {
            return vec![items];
        }
        let mut items = items.into_iter();
        lengths.into_iter().map(|length| items.by_ref().take(length).collect()).collect()
    }

    fn is_exceeded_by(self, chunk: &[Record]) -> bool {
        chunk.len() > MAX_RECORDS || encoded_bytes(chunk) > self.bytes
    }

    fn cut_partial(self, records: Vec<Record>) -> Vec<Cut> {
        let chunks = self.chunk(records, apart);
        chunks.into_iter().map(|records| (Coverage::Partial, records)).collect()
    }

    fn cut_by_id(
        self,
        mut records: Vec<Record>,
        mut after: Option<i64>,
        end: Option<i64>,
    ) -> Vec<Cut> {
        records.sort_unstable_by_key(|record| record.source_id);
        let mut cuts: Vec<Cut> = Vec::new();
        for records in self.chunk(records, apart) {
            let through = records.last().map(|record| record.source_id);
            cuts.push((Coverage::Ids { after, through }, records));
            after = through;
        }
        match cuts.last_mut() {
            Some((Coverage::Ids { through, .. }, _)) => *through = end,
            _ => cuts.push((Coverage::Ids { after, through: end }, Vec::new())),
        }
        cuts
    }

    /// Cuts between distinct starts. Entries outside the span claim nothing, and so do more entries
    /// of one start than a batch may hold: no single message could vouch for all of them.
    fn cut_by_start(
        self,
        records: Vec<Record>,
        from: Timestamp,
        to: Timestamp,
        user_id: Option<i64>,
    ) -> Vec<Cut> {
        let (mut inside, outside): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| {
            record.started_at.is_some_and(|start| from <= start && start < to)
                && (user_id.is_none() || record.user_id == user_id)
        });
        inside.sort_unstable_by_key(|record| (record.started_at, record.source_id));
        let mut cuts = Vec::new();
        let mut cursor = from;
        let chunks = self.chunk(inside, |a, b| a.started_at == b.started_at);
        let mut chunks = chunks.into_iter().peekable();
        while let Some(chunk) = chunks.next() {
            let end = chunks.peek().and_then(|next| first_start(next)).unwrap_or(to);
            if chunk.len() > 1 && self.is_exceeded_by(&chunk) {
                let start = first_start(&chunk).unwrap_or(end);
                if cursor < start {
                    cuts.push((Coverage::Starts { from: cursor, to: start, user_id }, Vec::new()));
                }
                cuts.extend(self.cut_partial(chunk));
            } else {
                cuts.push((Coverage::Starts { from: cursor, to: end, user_id }, chunk));
            }
            cursor = end;
        }
        if cuts.is_empty() && from < to {
            cuts.push((Coverage::Starts { from, to, user_id }, Vec::new()));
        }
        cuts.extend(self.cut_partial(outside));
        cuts
    }
}

/// What takes room in a message.
trait Encoded {
    /// Bytes in MessagePack, at most.
    fn encoded_bytes(&self) -> usize;
}

impl Encoded for Record {
    fn encoded_bytes(&self) -> usize {
        self.data.len() + RECORD_OVERHEAD
    }
}

impl Encoded for Rejected {
    fn encoded_bytes(&self) -> usize {
        self.data.len() + self.reason.len() + RECORD_OVERHEAD
    }
}

fn encoded_bytes(group: &[impl Encoded]) -> usize {
    group.iter().map(Encoded::encoded_bytes).sum()
}

/// Each for itself.
const fn apart<T>(_: &T, _: &T) -> bool {
    false
}

fn first_start(chunk: &[Record]) -> Option<Timestamp> {
    chunk.first().and_then(|record| record.started_at)
}

#[cfg(test)]
mod tests;
