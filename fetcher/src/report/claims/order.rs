//! Whether the entries of a report come in the order that was asked for, as they show themselves.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use shared::batch::Record;

/// Clocks that are put back repeat an hour.
const REPEATED_HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What has been seen of the order. People are looked at one by one: of two people's clocks it is not known
/// which of them Toggl sorts by.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Each person's latest start so far.
    latest: HashMap<Option<i64>, Timestamp>,
    has_risen: bool,
    is_broken: bool,
}

impl Order {
    /// Takes entries as they came.
    pub(super) fn note(&mut self, records: &[Record]) {
        for record in records {
            let Some(start) = record.started_at else { continue };
            let latest = self.latest.entry(record.user_id).or_insert(start);
            self.has_risen |= start > *latest;
            self.is_broken |= latest.duration_since(start) > REPEATED_HOUR;
            *latest = start.max(*latest);
        }
    }

    /// Whether somebody's entries have been seen to rise, and nobody's to fall.
    pub(super) const fn is_rising(&self) -> bool {
        self.has_risen && !self.is_broken
    }

    /// Whether somebody's have been seen to fall.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(entries: &[(i64, i64)]) -> (bool, bool) {
        let record = |(user, hour): &(i64, i64)| Record {
            source_id: 1,
            workspace_id: None,
            modified_at: None,
            started_at: Timestamp::from_second(hour * 3_600).ok(),
            user_id: Some(*user),
            deleted_at: None,
            data: bytes::Bytes::new(),
        };
        let mut order = Order::default();
        order.note(&entries.iter().map(record).collect::<Vec<_>>());
        (order.is_rising(), order.is_broken())
    }

    #[test]
    fn each_persons_starts_must_rise() {
        assert_eq!(order(&[(1, 10), (2, 4), (1, 11), (2, 5)]), (true, false));
        assert_eq!(order(&[(1, 11), (1, 10), (1, 12)]), (true, false), "an hour came twice");
        assert_eq!(order(&[(1, 10), (2, 4)]), (false, false), "nothing is known yet");
        assert_eq!(order(&[(1, 20), (1, 10)]), (false, true));
        assert_eq!(order(&[(1, 10), (1, 20), (2, 20), (2, 10)]), (false, true));
    }
}
