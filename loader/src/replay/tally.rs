//! What a replay did, for each resource.

use std::collections::BTreeMap;
use std::fmt;

use shared::catalogue::CATALOGUE;
use shared::exit::Exit;

use crate::apply::outcome::Applied;

/// What became of one message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Applied(Applied),
    /// It cannot be decoded, and is kept as a dead letter.
    Unreadable,
    /// It was fetched after `--until`.
    Later,
}

#[derive(Debug, Default)]
struct Counts {
    batches: usize,
    applied: usize,
    unchanged: usize,
    stale: usize,
    deleted: usize,
    dead: usize,
    kept_whole: usize,
    not_believed: usize,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    resources: BTreeMap<&'static str, Counts>,
    later: usize,
    /// Messages that were selected, and removed from the stream before they could be read.
    pub(super) missing: u64,
}

impl Tally {
    pub(super) fn add(&mut self, resource: &'static str, outcome: Outcome) {
        let counts = match outcome {
            Outcome::Later => {
                self.later += 1;
                return;
            }
            _ => self.resources.entry(resource).or_default(),
        };
        counts.batches += 1;
        if let Outcome::Applied(applied) = outcome {
            let Applied { written, unchanged, stale, deleted, dead, kept_whole, refused, .. } =
                applied;
            counts.applied += written;
            counts.unchanged += unchanged;
            counts.stale += stale;
            counts.deleted += deleted;
            counts.dead += dead;
            counts.kept_whole += usize::from(kept_whole);
            counts.not_believed += usize::from(refused.is_some());
        } else {
            counts.dead += 1;
        }
    }

    /// Messages that were settled in one way or another.
    pub(super) fn settled(&self) -> u64 {
        (self.batches() + self.later) as u64
    }

    fn batches(&self) -> usize {
        self.resources.values().map(|counts| counts.batches).sum()
    }

    pub(super) fn exit(&self) -> Exit {
        let is_dead = |counts: &Counts| counts.dead + counts.not_believed > 0;
        if self.missing > 0 || self.resources.values().any(is_dead) {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }
}

impl fmt::Display for Tally {
    /// In the order of the catalogue.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Replayed {} batches", self.batches())?;
        for name in CATALOGUE.iter().map(|resource| resource.name) {
            if let Some(counts) = self.resources.get(name) {
                writeln!(f, "  {name}: {counts}")?;
            }
        }
        if self.later > 0 {
            writeln!(f, "{} batches were fetched later and left out", self.later)?;
        }
        if self.missing > 0 {
            writeln!(f, "{} batches were gone from the stream before their turn", self.missing)?;
        }
        Ok(())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batches, applied, unchanged, stale, deleted, dead, kept_whole, not_believed } =
            self;
        write!(
            f,
            "{batches} batches, {applied} applied, {unchanged} unchanged, {stale} stale, {deleted} deleted, {dead} dead"
        )?;
        if *kept_whole > 0 {
            write!(f, ", {kept_whole} batches kept whole")?;
        }
        if *not_believed > 0 {
            write!(f, ", {not_believed} listings not believed")?;
        }
        Ok(())
    }
}
