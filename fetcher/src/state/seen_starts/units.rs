//! Stretches of numbers.

use serde::{Deserialize, Serialize};

/// Stretches that are remembered at most; the earliest are forgotten first. Twenty years of working days have
/// as many, with room to spare.
const MAX_STRETCHES: usize = 16_384;

/// Numbers as stretches that do not touch, in their order: the first, and the one after the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Units(Vec<(i64, i64)>);

impl Units {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn has(&self, unit: i64) -> bool {
        self.0.iter().any(|(first, end)| (*first..*end).contains(&unit))
    }

    pub(super) fn within(&self, from: i64, to: i64) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(move |(first, end)| (*first).max(from)..(*end).min(to))
    }

    pub(super) fn covers(&self, from: i64, to: i64) -> bool {
        self.0.iter().any(|(first, end)| *first <= from && to <= *end)
    }

    pub(super) fn end(&self) -> Option<i64> {
        self.0.last().map(|(_, end)| *end)
    }

    pub(super) fn add(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        let touches = |(first, end): &(i64, i64)| *first <= to && from <= *end;
        let joined = self.0.iter().filter(|run| touches(run));
        let joined = joined.fold((from, to), |(a, b), (first, end)| (a.min(*first), b.max(*end)));
        self.0.retain(|run| !touches(run));
        let place = self.0.partition_point(|(first, _)| *first < joined.0);
        self.0.insert(place, joined);
    }

    pub(super) fn remove(&mut self, from: i64, to: i64) {
        if from >= to {
            return;
        }
        let pieces = self
            .0
            .iter()
            .flat_map(|(first, end)| [(*first, (*end).min(from)), ((*first).max(to), *end)]);
        self.0 = pieces.filter(|(first, end)| first < end).collect();
    }

    pub(super) fn forget_early(&mut self) {
        let many = self.0.len().saturating_sub(MAX_STRETCHES);
        self.0.drain(..many);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn units_are_a_set(changes in prop::collection::vec((any::<bool>(), 0..60_i64, 0..20_i64), 0..40)) {
            let (mut units, mut set) = (Units::default(), BTreeSet::new());
            for (is_added, from, length) in changes {
                let to = from + length;
                if is_added {
                    units.add(from, to);
                    set.extend(from..to);
                } else {
                    units.remove(from, to);
                    set.retain(|unit| !(from..to).contains(unit));
                }
                let held: BTreeSet<i64> = units.within(0, 100).collect();
                prop_assert_eq!(&held, &set);
                prop_assert!(units.0.is_sorted_by(|a, b| a.1 < b.0));
            }
        }
    }
}
