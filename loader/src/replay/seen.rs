//! What a replay has read, by what `loads` knows batches by.

use std::collections::{BTreeMap, HashSet};

use shared::batch::Batch;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::tally::Outcome;

/// So many of the batches that changed something tell whether `loads` knew any of them before.
const WITNESSES: usize = 1_000;

/// `loads`' key of a batch, without its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchKey {
    pub(super) run_id: Uuid,
    pub(super) workspace_id: i64,
    pub(super) part: u32,
}

/// Eight bytes a batch, and an id a run: a stream of a million batches takes some ten megabytes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    batches: HashSet<u64>,
    runs: HashSet<Uuid>,
    /// By resource, the first ones.
    changing: BTreeMap<&'static str, Vec<BatchKey>>,
}

impl BatchKey {
    pub(super) fn of(batch: &Batch) -> Self {
        Self { run_id: batch.run_id, workspace_id: batch.workspace_id, part: batch.part }
    }

    fn hash(self, resource: &str) -> u64 {
        let Self { run_id, workspace_id, part } = self;
        let (workspace_id, part) = (workspace_id.to_le_bytes(), part.to_le_bytes());
        let key = [run_id.as_bytes(), &workspace_id[..], &part, resource.as_bytes()];
        xxh3_64(&key.concat())
    }
}

impl Seen {
    pub(super) fn add(&mut self, resource: &'static str, batch: BatchKey, outcome: &Outcome) {
        self.batches.insert(batch.hash(resource));
        // What was left out claims nothing in this replay.
        let Outcome::Applied(applied) = outcome else { return };
        self.runs.insert(batch.run_id);
        let changing = self.changing.entry(resource).or_default();
        if applied.written + applied.deleted > 0 && changing.len() < WITNESSES {
            changing.push(batch);
        }
    }

    /// Whether the stream holds it.
    pub(super) fn holds(&self, resource: &str, batch: BatchKey) -> bool {
        self.batches.contains(&batch.hash(resource))
    }

    /// The runs of which something was applied.
    pub(super) fn runs(&self) -> Vec<Uuid> {
        self.runs.iter().copied().collect()
    }

    /// Batches that changed something, some of them where they are many.
    pub(super) fn changing(&self, resource: &str) -> &[BatchKey] {
        self.changing.get(resource).map_or(&[], Vec::as_slice)
    }
}
