//! What a replay did, for each resource.

use std::collections::BTreeMap;
use std::fmt;

use shared::catalogue::CATALOGUE;
use shared::exit::Exit;

use crate::apply::applied::Applied;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::applied::Refused;

    const APPLIED: Applied = Applied {
        received: 10,
        written: 1,
        unchanged: 2,
        stale: 3,
        deleted: 5,
        dead: 0,
        kept_whole: false,
        refused: None,
        clock_ahead: None,
    };

    fn tally(outcomes: &[(&'static str, Outcome)]) -> Tally {
        let mut tally = Tally::default();
        for (resource, outcome) in outcomes {
            tally.add(resource, *outcome);
        }
        tally
    }

    #[test]
    fn each_resource_has_its_sums_in_the_order_of_the_catalogue() {
        let whole = Applied { dead: 4, kept_whole: true, ..APPLIED };
        let refused = Applied { refused: Some(Refused { covered: 30, missing: 20 }), ..APPLIED };
        let mut tally = tally(&[
            ("tags", Outcome::Applied(whole)),
            ("clients", Outcome::Applied(APPLIED)),
            ("clients", Outcome::Applied(APPLIED)),
            ("tags", Outcome::Applied(refused)),
            ("tags", Outcome::Unreadable),
            ("tags", Outcome::Later),
        ]);
        tally.missing = 7;
        assert_eq!(tally.settled(), 6);
        assert_eq!(
            tally.to_string(),
            "Replayed 5 batches\n\
             \x20 clients: 2 batches, 2 applied, 4 unchanged, 6 stale, 10 deleted, 0 dead\n\
             \x20 tags: 3 batches, 2 applied, 4 unchanged, 6 stale, 10 deleted, 5 dead, \
             1 batches kept whole, 1 listings not believed\n\
             1 batches were fetched later and left out\n\
             7 batches were gone from the stream before their turn\n"
        );
    }

    #[test]
    fn where_nothing_was_left_out_or_gone_nothing_is_said_of_it() {
        assert_eq!(
            tally(&[("tags", Outcome::Applied(APPLIED))]).to_string(),
            "Replayed 1 batches\n  tags: 1 batches, 1 applied, 2 unchanged, 3 stale, 5 deleted, 0 dead\n"
        );
    }

    #[test]
    fn what_was_not_brought_back_makes_it_incomplete() {
        assert_eq!(tally(&[]).exit(), Exit::Done);
        assert_eq!(tally(&[("tags", Outcome::Applied(APPLIED))]).exit(), Exit::Done);
        assert_eq!(tally(&[("tags", Outcome::Later)]).exit(), Exit::Done);
        assert_eq!(tally(&[("tags", Outcome::Unreadable)]).exit(), Exit::Incomplete);
        let refused = Applied { refused: Some(Refused { covered: 30, missing: 20 }), ..APPLIED };
        assert_eq!(tally(&[("tags", Outcome::Applied(refused))]).exit(), Exit::Incomplete);
        assert_eq!(Tally { missing: 1, ..Tally::default() }.exit(), Exit::Incomplete);
    }
}
