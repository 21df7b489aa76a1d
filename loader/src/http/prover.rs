//! Toggl's inventories against the tables, beside the looks: entry by entry is compared, which may take minutes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::postgres::database::Database;
use crate::status::Away;
use crate::status::proof::Proof;
use crate::status::store::{Looker, Store};

/// After a comparison that failed the next one waits for this long at least.
const PAUSE: Duration = Duration::from_mins(1);
/// And takes no more than this part of the time.
const SHARE: u32 = 10;

/// Compares now and then, one comparison at a time, each by a connection of its own.
pub(super) struct Prover {
    database: Database,
    /// What the clocks of two machines may differ by.
    skew: SignedDuration,
    under_way: JoinSet<Tried>,
    proof: Option<Arc<Proof>>,
    failed: Option<Failed>,
}

/// A comparison that has ended.
struct Tried {
    started: Instant,
    found: Result<Option<Proof>, Away>,
}

/// Why the last comparison found nothing, and when there may be another.
struct Failed {
    away: Away,
    again: Instant,
}

impl Prover {
    pub(super) fn new(database: Database, skew: SignedDuration) -> Self {
        Self { database, skew, under_way: JoinSet::new(), proof: None, failed: None }
    }

    /// Begins to compare once an inventory has come, and now and then, for the tables change, too. What comes of
    /// it is seen at a later look.
    pub(super) fn look(&mut self, store: Option<&Store>) {
        while let Some(tried) = self.under_way.try_join_next() {
            match tried {
                Ok(tried) => self.note(tried),
                Err(error) => {
                    let words = format!("comparing with Toggl's inventories broke off: {error}");
                    self.fail(Away { words, out_of_reach: false }, PAUSE);
                }
            }
        }
        let Some(store) = store.filter(|store| store.is_verified()) else { return };
        if self.under_way.is_empty() && self.is_due(store) {
            let mut looker = Looker::new(self.database.clone());
            self.under_way.spawn(async move {
                let started = Instant::now();
                let found = looker.prove().await;
                looker.close().await;
                Tried { started, found }
            });
        }
    }

    /// What the last comparison found.
    pub(super) fn proof(&self) -> Option<Arc<Proof>> {
        self.proof.clone()
    }

    /// Why the last comparison found nothing, if so.
    pub(super) fn unproven(&self) -> Option<Away> {
        self.failed.as_ref().map(|failed| failed.away.clone())
    }

    fn is_due(&self, store: &Store) -> bool {
        if self.failed.as_ref().is_some_and(|failed| Instant::now() < failed.again) {
            return false;
        }
        let last = store.last_inventory().map(|at| at + self.skew);
        self.proof.as_ref().is_none_or(|proof| proof.is_due(last))
    }

    fn note(&mut self, Tried { started, found }: Tried) {
        match found {
            Ok(proof) => {
                self.proof = proof.map(Arc::new);
                self.failed = None;
            }
            Err(away) => self.fail(away, (started.elapsed() * SHARE).max(PAUSE)),
        }
    }

    fn fail(&mut self, away: Away, pause: Duration) {
        self.failed = Some(Failed { away, again: Instant::now() + pause });
    }
}
