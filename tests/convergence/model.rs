//! The rules in their simplest form, as the oracle: one table, a list of claims, batches in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::sent::{Claim, LONGEST_RUN, Live, Sent};

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
    /// The newest one that says something of a row.
    fn newest_claim(&self, id: i64, live: Live, but: Option<usize>) -> i64 {
        let covering = self.claims.iter().filter(|(claim, fetched_at, place)| {
            Some(*place) != but && claim.covers(id, live.start) && speaks_of(*fetched_at, live)
        });
        covering.map(|(_, fetched_at, _)| *fetched_at).max().unwrap_or(i64::MIN)
    }

    fn apply(&mut self, place: usize, batch: &Sent) {
        if let Some(claim) = batch.claim {
            self.mark(claim, batch);
            self.claims.push((claim, batch.fetched_at, place));
        }
        for seen in &batch.seen {
            let gone = self.newest_claim(seen.id, seen.live, None) > batch.fetched_at;
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
            if !row.deleted && !row.live.running {
                let claim = self.newest_claim(seen.id, row.live, Some(place));
                confirmed_at = confirmed_at.max(claim);
            }
            let restored = row.deleted && !new.deleted && knows_more(batch.fetched_at, row);
            let undone = seen.deleted && !row.deleted && knows_more(confirmed_at, new);
            let is_newer =
                (new.live.modified_at, new.fetched_at) > (row.live.modified_at, confirmed_at);
            if undone || !(is_newer || restored) {
                continue;
            }
            let unchanged = (row.live, row.deleted) == (new.live, new.deleted);
            if !unchanged {
                self.rows.insert(seen.id, new);
            } else if batch.claim.is_none() || row.live.running {
                self.rows.insert(seen.id, Row { fetched_at: batch.fetched_at, ..row });
            }
        }
    }

    fn mark(&mut self, claim: Claim, batch: &Sent) {
        let present: BTreeSet<i64> = batch.seen.iter().map(|seen| seen.id).collect();
        let gone: Vec<i64> = self
            .rows
            .iter()
            .filter(|(id, row)| {
                let mut confirmed_at = row.fetched_at;
                if !row.live.running {
                    confirmed_at = confirmed_at.max(self.newest_claim(**id, row.live, None));
                }
                !present.contains(id)
                    && !row.deleted
                    && claim.covers(**id, row.live.start)
                    && speaks_of(batch.fetched_at, row.live)
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

/// Reports show what runs by chance: only one that must have ended is missed.
fn speaks_of(fetched_at: i64, live: Live) -> bool {
    !live.running || fetched_at > live.start + LONGEST_RUN
}

/// Whether what was asked for then knows more than a row that was seen deleted.
fn knows_more(fetched_at: i64, deleted: Row) -> bool {
    fetched_at > deleted.live.modified_at.max(deleted.fetched_at)
}
