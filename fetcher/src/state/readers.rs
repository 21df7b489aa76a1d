//! Which account's view of a shared workspace stands in the tables.
//!
//! Two people of one workspace are shown different things: one has private projects that the other never
//! sees, an admin sees rates. If both wrote the lists of the workspace, rows would be marked deleted
//! and restored, and changed back and forth, at every sync. So each list is one account's to read: an
//! admin's rather than another's, else whose was first.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_within;

/// Who has not read a list for this long has lost it to whoever reads it next: more than a day, for two accounts
/// that are each read once a day.
const KEPT: Duration = Duration::from_hours(26);

/// The readers of a workspace's lists, by resource. Key `readers.<workspace>`.
pub(crate) type Readers = BTreeMap<String, Reader>;

/// The key of [`Readers`]; `of` is a workspace's id, or `organization.<id>`.
pub(crate) fn readers_key(of: impl std::fmt::Display) -> String {
    format!("readers.{of}")
}

/// A reader that has not been back for this long does not come back.
const AWAITED: Duration = Duration::from_hours(7 * 24);

/// The account that a list is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reader {
    pub(crate) user_id: i64,
    /// Whether it sees all there is.
    pub(crate) is_admin: bool,
    pub(crate) at: Timestamp,
    /// In whose place it reads, if it may see less than that one did: who, and when that one read last.
    #[serde(default)]
    in_place_of: Option<(i64, Timestamp)>,
}

/// What an account does with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It reads it, and what it does not see is gone.
    Claiming,
    /// It reads it in place of another account, and may see less.
    Partial,
    /// It leaves it to this reader.
    LeftTo(Reader),
}

impl Reader {
    /// An account that reads now.
    pub(crate) const fn new(user_id: i64, is_admin: bool, at: Timestamp) -> Self {
        Self { user_id, is_admin, at, in_place_of: None }
    }

    /// In whose place it reads.
    pub(crate) fn absent(&self) -> Option<i64> {
        self.in_place_of.map(|(user_id, _)| user_id)
    }

    /// Whether it is another account, which may still come back to the list.
    pub(crate) fn is_anothers(&self, user_id: i64, now: Timestamp) -> bool {
        self.user_id != user_id && is_within(self.at, now, AWAITED)
    }

    /// What this account does with a list whose reader is `known`.
    pub(crate) fn reading(self, known: Option<&Self>) -> Reading {
        let Some(known) = known else { return Reading::Claiming };
        let absent = known.in_place_of.filter(|(_, last)| is_within(*last, self.at, AWAITED));
        if self.is_admin && (!known.is_admin || absent.is_some()) {
            return Reading::Claiming;
        }
        match absent {
            Some((absent, _)) if absent == self.user_id => Reading::Claiming,
            Some(_) if known.user_id == self.user_id => Reading::Partial,
            _ if known.user_id == self.user_id => Reading::Claiming,
            _ if is_within(known.at, self.at, KEPT) => Reading::LeftTo(*known),
            _ if self.is_admin => Reading::Claiming,
            _ => Reading::Partial,
        }
    }

    /// This account once it has read the list: who reads in place of another stays that until the other is back,
    /// or is awaited no more.
    pub(crate) fn after(self, known: Option<&Self>) -> Self {
        let in_place_of = match (self.reading(known), known) {
            (Reading::Partial, Some(known)) if known.user_id == self.user_id => known.in_place_of,
            (Reading::Partial, Some(known)) => {
                Some(known.in_place_of.unwrap_or((known.user_id, known.at)))
            }
            _ => None,
        };
        Self { in_place_of, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(user_id: i64, is_admin: bool, hour: i64) -> Reader {
        let at = Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap();
        Reader::new(user_id, is_admin, at)
    }

    #[test]
    fn a_list_stays_with_who_reads_it() {
        let known = reader(1, false, 0);
        assert_eq!(reader(2, false, 0).reading(None), Reading::Claiming);
        assert_eq!(reader(1, false, 500).reading(Some(&known)), Reading::Claiming);
        assert_eq!(reader(2, false, 25).reading(Some(&known)), Reading::LeftTo(known));
        assert_eq!(reader(2, false, 27).reading(Some(&known)), Reading::Partial);
        assert_eq!(reader(2, true, 1).reading(Some(&known)), Reading::Claiming);
    }

    #[test]
    fn who_reads_in_place_of_another_claims_nothing_until_that_one_is_awaited_no_more() {
        let first = reader(1, true, 0);
        let second = reader(2, false, 60).after(Some(&first));
        let week = 7 * 24;
        assert_eq!(reader(2, false, 61).reading(Some(&second)), Reading::Partial);
        let second = reader(2, false, 61).after(Some(&second));
        assert_eq!(reader(2, false, week).reading(Some(&second)), Reading::Partial);
        assert_eq!(reader(2, false, week + 1).reading(Some(&second)), Reading::Claiming);
        assert_eq!(reader(3, false, 62).reading(Some(&second)), Reading::LeftTo(second));
        assert_eq!(reader(3, true, 62).reading(Some(&second)), Reading::Claiming);

        assert_eq!(reader(1, false, 62).reading(Some(&second)), Reading::Claiming, "it is back");
        let back = reader(1, false, 62).after(Some(&second));
        assert_eq!(reader(2, false, 63).reading(Some(&back)), Reading::LeftTo(back));
    }
}
