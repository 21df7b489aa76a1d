//! The rules in their simplest form, as the oracle: one table, a list of claims, batches in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Claim, Live, Sent};

#[derive(Clone, Copy)]
struct Row {
    live: Live,
    fetched_at: i64,
    deleted: bool,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<i64, Row>,
    /// With the place of the batch that made it, for a batch's own claim confirms nothing.
    claims: Vec<(Claim, i64, usize)>,
}

/// The live rows after applying the batches in this order.
pub(crate) fn final_rows(batches: &[Sent]) -> BTreeMap<i64, Live> {
    let mut table = Table::default();
    for (place, batch) in batches.iter().enumerate() {
        table.apply(place, batch);
    }
    let live = table.rows.into_iter().filter(|(_, row)| !row.deleted);
    live.map(|(id, row)| (id, row.live)).collect()
}

impl Table {
    fn newest_claim(&self, id: i64, start: i64, but: Option<usize>) -> i64 {
        let covering = self
            .claims
            .iter()
            .filter(|(claim, _, place)| Some(*place) != but && claim.covers(id, start));
        covering.map(|(_, fetched_at, _)| *fetched_at).max().unwrap_or(i64::MIN)
    }

    fn apply(&mut self, place: usize, batch: &Sent) {
        if let Some(claim) = batch.claim {
            self.mark(claim, batch);
            self.claims.push((claim, batch.fetched_at, place));
        }
        for seen in &batch.seen {
            let gone = self.newest_claim(seen.id, seen.live.start, None) > batch.fetched_at;
            let new = Row {
                live: seen.live,
                fetched_at: batch.fetched_at,
                deleted: seen.deleted || gone,
            };
            let Some(row) = self.rows.get(&seen.id).copied() else {
                self.rows.insert(seen.id, new);
                continue;
            };
            let mut confirmed_at = row.fetched_at;
            if !row.deleted {
                let claim = self.newest_claim(seen.id, row.live.start, Some(place));
                confirmed_at = confirmed_at.max(claim);
            }
            if (new.live.modified_at, new.fetched_at) <= (row.live.modified_at, confirmed_at) {
                continue;
            }
            let unchanged = (row.live, row.deleted) == (new.live, new.deleted);
            match (unchanged, batch.claim) {
                (true, Some(_)) => {}
                (true, None) => {
                    self.rows.insert(seen.id, Row { fetched_at: batch.fetched_at, ..row });
                }
                (false, _) => {
                    self.rows.insert(seen.id, new);
                }
            }
        }
    }

    fn mark(&mut self, claim: Claim, batch: &Sent) {
        let present: BTreeSet<i64> = batch.seen.iter().map(|seen| seen.id).collect();
        let gone: Vec<i64> = self
            .rows
            .iter()
            .filter(|(id, row)| {
                let confirmed_at =
                    row.fetched_at.max(self.newest_claim(**id, row.live.start, None));
                !present.contains(id)
                    && !row.deleted
                    && claim.covers(**id, row.live.start)
                    && confirmed_at < batch.fetched_at
            })
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            if let Some(row) = self.rows.get_mut(&id) {
                row.deleted = true;
            }
        }
    }
}
