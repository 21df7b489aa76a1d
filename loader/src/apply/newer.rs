//! The rule by which a record replaces what is stored.
//!
//! * A record of a key that is not stored is newer than nothing.
//! * A record is newer if its `(modified_at, fetched_at)` is greater than the row's `(modified_at,
//!   confirmed at)`. Toggl's own time of change comes first, and one without it is the oldest. As Toggl
//!   changes some records without moving that time, when they were fetched is the second half.
//! * A row is confirmed at the later of its own `fetched_at` and, while it is live, of the newest claim
//!   that covers it: that listing was complete and had the row, so that it was still there, and as it is.
//! * Equal is not newer, so that a batch may come twice. A forced replay takes equal for newer, and
//!   replaces a [damaged](super::damage) row by any form of it.
//! * A deleted row is brought back by whoever saw it live after the deletion had happened and was known,
//!   even if that brought back its old time of change.
//! * A deletion that is older than the moment at which the row was last seen live changes nothing.
//!
//! So the live rows are a function of the set of batches that were applied, not of their order: batches
//! may come twice, late, or shuffled over many loaders.

use jiff::Timestamp;

use super::context::BatchContext;
use super::damage;

/// By what newer and older is told, in this order; without a time of change it is the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// By Toggl's own clock.
    pub(crate) modified_at: Option<Timestamp>,
    /// When it was fetched, or seen again.
    pub(crate) confirmed_at: Timestamp,
}

/// A stored row as the rule sees it, for who tells afterwards what became of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) version: Version,
    pub(crate) fetched_at: Timestamp,
    pub(crate) is_deleted: bool,
}

impl Known {
    /// The same rule as [`is_newer`], without force, of one key.
    pub(crate) fn is_replaced_by(self, new: Version, is_live: bool, is_deletion: bool) -> bool {
        let Self { version: stored, fetched_at, is_deleted } = self;
        if is_deleted
            && is_live
            && Some(new.confirmed_at) > stored.modified_at.max(Some(fetched_at))
        {
            return true;
        }
        let known_at = new.modified_at.max(Some(new.confirmed_at));
        if !is_deleted && is_deletion && Some(stored.confirmed_at) > known_at {
            return false;
        }
        new > stored
    }
}

/// A record that may replace the stored row `t`, in SQL.
pub(crate) struct Incoming<'a> {
    /// What its row is called.
    pub(crate) row: &'a str,
    pub(crate) fetched_at: &'a str,
    /// Whether it was there when it was fetched, and no newer claim lacks it.
    pub(crate) is_live: &'a str,
    /// Whether it says itself that it is deleted.
    pub(crate) is_deletion: &'a str,
}

/// Whether it replaces what is stored, or is the first of its key; given when `t` is confirmed.
pub(crate) fn is_newer(
    context: BatchContext<'_>,
    incoming: &Incoming<'_>,
    confirmed_at: &str,
) -> String {
    let Incoming { row, fetched_at, is_live, is_deletion } = incoming;
    let (newer, damaged) = if context.force {
        let damaged = damage::is_damaged(context, row, fetched_at);
        (">=", format!("when {damaged} then true"))
    } else {
        (">", String::new())
    };
    format!(
        "case when t.source_id is null then true {damaged}
              when t.deleted_at is not null and {is_live}
                  and {fetched_at} > greatest(t.modified_at, t.fetched_at) then true
              when t.deleted_at is null and {is_deletion}
                  and {confirmed_at} > greatest({row}.modified_at, {fetched_at}) then false
              else (coalesce({row}.modified_at, '-infinity'), {fetched_at})
                  {newer} (coalesce(t.modified_at, '-infinity'), {confirmed_at}) end"
    )
}
