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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::applied::Applied;

    fn key(part: u32) -> BatchKey {
        BatchKey { run_id: Uuid::from_u128(1), workspace_id: 1, part }
    }

    fn applied(written: usize, deleted: usize) -> Outcome {
        Outcome::Applied(Applied { written, deleted, ..Applied::default() })
    }

    #[test]
    fn a_batch_is_known_by_run_workspace_part_and_resource_together() {
        let mut seen = Seen::default();
        seen.add("tags", key(1), &applied(1, 0));
        assert!(seen.holds("tags", key(1)));
        assert!(!seen.holds("clients", key(1)));
        assert!(!seen.holds("tags", key(2)));
        assert!(!seen.holds("tags", BatchKey { workspace_id: 2, ..key(1) }));
        assert!(!seen.holds("tags", BatchKey { run_id: Uuid::from_u128(2), ..key(1) }));
    }

    #[test]
    fn what_was_left_out_is_held_and_is_no_run_and_no_change() {
        let mut seen = Seen::default();
        seen.add("tags", key(1), &Outcome::Later);
        assert!(seen.holds("tags", key(1)));
        assert!(seen.runs().is_empty() && seen.changing("tags").is_empty());
        seen.add("tags", key(2), &applied(0, 0));
        assert_eq!(seen.runs(), [key(2).run_id]);
        assert!(seen.changing("tags").is_empty());
    }

    #[test]
    fn a_thousand_batches_that_wrote_or_deleted_are_remembered() {
        let mut seen = Seen::default();
        for part in 0..1_200 {
            let outcome = if part % 2 == 0 { applied(1, 0) } else { applied(0, 1) };
            seen.add("tags", key(part), &outcome);
        }
        assert_eq!(seen.changing("tags").len(), WITNESSES);
        assert_eq!(seen.changing("tags")[..2], [key(0), key(1)]);
        assert!(seen.changing("clients").is_empty());
    }
}
