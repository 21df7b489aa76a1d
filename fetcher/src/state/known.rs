//! Which ids of a list stand in the tables, so that an entry that names another one is noticed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// So many of the highest ids are kept. As differences of ten digits they take 110 kB, usually 60.
const MOST: usize = 10_000;
/// And so many of those that Toggl was asked for in vain.
const MOST_MISSING: usize = 1_000;

/// What runs have read of a list of a workspace, whichever account it was. Key `known.<workspace>.<resource>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Known {
    /// When its changes were last asked for, by Toggl's clock; none before anybody has read it.
    pub(crate) at: Option<Timestamp>,
    ids: BTreeSet<i64>,
    /// Lower ids than those are not kept, and taken for known.
    is_cut: bool,
    missing: BTreeSet<i64>,
}

/// Ascending ids as differences, the first from 0.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: Option<Timestamp>,
    ids: Vec<i64>,
    #[serde(default)]
    is_cut: bool,
    #[serde(default)]
    missing: Vec<i64>,
}

impl Known {
    pub(crate) fn key(workspace_id: i64, resource: &str) -> String {
        format!("known.{workspace_id}.{resource}")
    }

    /// A list that was read whole: what was asked for in vain before may be asked for again.
    pub(crate) fn whole(at: Timestamp, ids: impl IntoIterator<Item = i64>) -> Self {
        let mut known = Self { at: Some(at), ..Self::default() };
        known.learn(ids);
        known
    }

    /// Notes ids that came.
    pub(crate) fn learn(&mut self, ids: impl IntoIterator<Item = i64>) {
        self.ids.extend(ids);
        while self.ids.len() > MOST {
            self.ids.pop_first();
            self.is_cut = true;
        }
        self.missing.retain(|id| !self.ids.contains(id));
    }

    /// Notes ids that were asked for; those that did not come are not asked for again before the whole list is
    /// read.
    pub(crate) fn miss(&mut self, ids: impl IntoIterator<Item = i64>) {
        let missing = ids.into_iter().filter(|id| !self.has(*id)).collect::<Vec<_>>();
        self.missing.extend(missing);
        while self.missing.len() > MOST_MISSING {
            self.missing.pop_first();
        }
    }

    /// Those of these ids that nobody has read, and nobody has asked for in vain.
    pub(crate) fn unknown(&self, ids: &BTreeSet<i64>) -> BTreeSet<i64> {
        let is_unknown = |id: &&i64| !self.has(**id) && !self.missing.contains(*id);
        ids.iter().filter(is_unknown).copied().collect()
    }

    fn has(&self, id: i64) -> bool {
        let is_too_low = self.is_cut && self.ids.first().is_some_and(|first| id < *first);
        is_too_low || self.ids.contains(&id)
    }
}

impl From<Stored> for Known {
    fn from(stored: Stored) -> Self {
        let sums = stored.ids.into_iter().scan(0_i64, |last, difference| {
            *last = last.saturating_add(difference);
            Some(*last)
        });
        Self {
            at: stored.at,
            ids: sums.collect(),
            is_cut: stored.is_cut,
            missing: stored.missing.into_iter().collect(),
        }
    }
}

impl From<Known> for Stored {
    fn from(known: Known) -> Self {
        let mut last = 0;
        let differences = known.ids.into_iter().map(|id| id - std::mem::replace(&mut last, id));
        Self {
            at: known.at,
            ids: differences.collect(),
            is_cut: known.is_cut,
            missing: known.missing.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(known: &Known, ids: &[i64]) -> Vec<i64> {
        known.unknown(&ids.iter().copied().collect()).into_iter().collect()
    }

    #[test]
    fn what_was_read_is_known_and_what_was_asked_for_in_vain_is_not_asked_for_again() {
        let mut known = Known::whole(Timestamp::UNIX_EPOCH, [5, 3, 9]);
        assert_eq!(unknown(&known, &[3, 4, 9, 12]), [4, 12]);
        known.learn([12]);
        known.miss([4, 12]);
        assert_eq!(unknown(&known, &[3, 4, 9, 12, 13]), [13]);
        known.learn([4]);
        let whole = Known::whole(Timestamp::UNIX_EPOCH, [3, 5, 9, 12]);
        assert_eq!(unknown(&whole, &[4]), [4], "the whole list was read");
    }

    #[test]
    fn of_a_long_list_the_highest_ids_are_kept_in_a_hundred_kilobytes_and_lower_ones_count_as_known()
     {
        let ids = (1..=30_000).map(|n| n * 999_983);
        let known = Known::whole(Timestamp::UNIX_EPOCH, ids);
        let text = serde_json::to_vec(&known).unwrap();
        assert!(text.len() < 110_000, "{}", text.len());
        let read: Known = serde_json::from_slice(&text).unwrap();
        assert_eq!(read, known);
        let (low, gap, new) = (2, 25_000 * 999_983 + 1, 30_001 * 999_983);
        assert_eq!(unknown(&read, &[low, gap, new]), [gap, new]);
    }
}
