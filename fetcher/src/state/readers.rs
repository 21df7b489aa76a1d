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

/// The account that a list is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reader {
    pub(crate) user_id: i64,
    /// Whether it sees all there is.
    pub(crate) is_admin: bool,
    pub(crate) at: Timestamp,
}

/// What an account does with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It reads it, and what it does not see is gone.
    Claiming,
    /// It reads it in place of an admin, and may see less.
    Partial,
    /// It leaves it to this reader.
    LeftTo(Reader),
}

impl Reader {
    /// What this account does with a list whose reader is `known`.
    pub(crate) fn reading(self, known: Option<&Self>) -> Reading {
        let Some(known) = known.filter(|known| known.user_id != self.user_id) else {
            return Reading::Claiming;
        };
        match (self.is_admin, known.is_admin) {
            (true, false) => Reading::Claiming,
            _ if is_within(known.at, self.at, KEPT) => Reading::LeftTo(*known),
            (false, true) => Reading::Partial,
            _ => Reading::Claiming,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(user_id: i64, is_admin: bool, hour: i64) -> Reader {
        let at = Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap();
        Reader { user_id, is_admin, at }
    }

    #[test]
    fn a_list_stays_with_who_reads_it() {
        let known = reader(1, false, 0);
        assert_eq!(reader(2, false, 0).reading(None), Reading::Claiming);
        assert_eq!(reader(1, false, 500).reading(Some(&known)), Reading::Claiming);
        assert_eq!(reader(2, false, 25).reading(Some(&known)), Reading::LeftTo(known));
        assert_eq!(reader(2, false, 27).reading(Some(&known)), Reading::Claiming);
    }

    #[test]
    fn an_admin_takes_it_over_and_whoever_follows_an_admin_claims_nothing() {
        let known = reader(1, false, 0);
        assert_eq!(reader(2, true, 1).reading(Some(&known)), Reading::Claiming);
        let admin = reader(2, true, 1);
        assert_eq!(reader(1, false, 2).reading(Some(&admin)), Reading::LeftTo(admin));
        assert_eq!(reader(1, false, 60).reading(Some(&admin)), Reading::Partial);
        assert_eq!(reader(3, true, 60).reading(Some(&admin)), Reading::Claiming);
    }
}
