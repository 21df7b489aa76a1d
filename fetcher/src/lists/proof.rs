//! What proves that a listing is complete: that it was read to its end, and that no row slipped from one
//! page to another while it was read.

use jiff::{SignedDuration, Timestamp};

use shared::batch::Record;

use crate::record::Page;
use crate::state::Seen;

/// How sure it is that nothing follows the last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// An empty page, a total, or a list that has no pages.
    Proven,
    /// As many rows came as the last time, the same outermost ones among them.
    AsBefore,
    /// A page was not full, and nobody has read the list before: there is nothing yet to claim.
    FirstLook,
    /// Toggl counted more than it sent.
    Missing,
    /// Nobody knows.
    Unknown,
}

/// Pages stand by their number: a row that is deleted or renamed moves all that follow it, and one of
/// them from an unread page to one that was read already.
#[derive(Debug, Default)]
pub(super) struct Steadiness {
    /// A row came twice.
    pub(super) repeated: bool,
    /// A page came an hour after another, as it were.
    pub(super) waited: bool,
    total: Option<usize>,
    total_moved: bool,
}

impl Steadiness {
    pub(super) fn note_total(&mut self, total: Option<usize>) {
        self.total_moved |= self.total.is_some() && total.is_some() && self.total != total;
        self.total = total.or(self.total);
    }

    pub(super) const fn trouble(&self) -> Option<&'static str> {
        if self.waited {
            Some("a page of it had to wait for a quota")
        } else if self.repeated || self.total_moved {
            Some("its rows moved while its pages were read")
        } else {
            None
        }
    }
}

/// Sizes at which Toggl cuts lists, or has: a list without pages of just such a length may be a first page.
pub(super) const fn is_page_size(count: usize) -> bool {
    count > 0 && (count.is_multiple_of(25) || count == 151 || count == 201)
}

/// When the first page of a listing was asked for, by Toggl's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) at: Timestamp,
    /// By how much it may have been earlier.
    pub(super) uncertainty: SignedDuration,
}

impl Begun {
    /// A moment before it, for sure, in whole seconds.
    pub(super) fn earliest(self) -> Timestamp {
        let earliest = self.at.checked_sub(self.uncertainty).unwrap_or(self.at);
        Timestamp::from_second(earliest.as_second()).unwrap_or(earliest)
    }

    /// Whether nothing has changed since, of what an answer to "what changed since then" names. Should Toggl take
    /// no `since` there, the records are older. Of what may have changed just before, the pages tell.
    pub(super) fn is_quiet(self, changes: &Page, read: &[Record]) -> bool {
        changes.rejected.is_empty()
            && changes.records.iter().all(|record| self.is_older(record, read))
    }

    fn is_older(self, record: &Record, read: &[Record]) -> bool {
        let Some(at) = record.modified_at.max(record.deleted_at) else { return false };
        let is_read = |other: &&Record| other.source_id == record.source_id;
        at < self.earliest()
            || (at < self.at
                && match read.iter().find(is_read) {
                    None => record.deleted_at.is_some(),
                    Some(read) => {
                        record.deleted_at.is_none() && read.modified_at == record.modified_at
                    }
                })
    }
}

/// Whether these changes make a list of so many rows one of so many.
pub(super) fn explains(changes: &Page, before: usize, now: usize) -> bool {
    let gone = changes.records.iter().filter(|record| record.deleted_at.is_some()).count();
    let alive = changes.records.len() - gone;
    (before.saturating_sub(gone)..=before + alive).contains(&now)
}

/// A list that was not empty and is now is believed when a later run says so too. Of one that nobody has
/// seen before there is nothing to claim.
pub(super) fn of_emptiness(before: Option<&Seen>) -> (bool, Option<String>) {
    match before {
        None => (false, None),
        Some(before) if before.count == 0 || before.emptied_at.is_some() => (true, None),
        Some(before) => (
            false,
            Some(format!(
                "it is empty, and had {} at {}; it is believed if the next run finds it empty too",
                before.count,
                before.at.strftime("%Y-%m-%d %H:%M UTC")
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn seen(ids: std::ops::Range<i64>, before: Option<&Seen>) -> Seen {
        Seen::of(usize::try_from(ids.end - ids.start).unwrap(), ids, at(0)).after(before)
    }

    #[test]
    fn an_empty_list_is_believed_the_second_time() {
        assert_eq!(of_emptiness(None), (false, None));
        let full = seen(1..4, None);
        assert!(matches!(of_emptiness(Some(&full)), (false, Some(_))));
        let once = seen(0..0, Some(&full));
        assert_eq!(of_emptiness(Some(&once)), (true, None));
        let twice = seen(0..0, Some(&once));
        assert_eq!(of_emptiness(Some(&twice)), (true, None));
        let full_again = seen(1..2, Some(&once));
        assert!(matches!(of_emptiness(Some(&full_again)), (false, Some(_))));
    }

    #[test]
    fn a_total_that_moves_and_a_row_that_comes_twice_are_trouble() {
        let mut steadiness = Steadiness::default();
        for total in [None, Some(7), None, Some(7)] {
            steadiness.note_total(total);
            assert_eq!(steadiness.trouble(), None);
        }
        steadiness.note_total(Some(6));
        assert!(steadiness.trouble().is_some());
        let repeated = Steadiness { repeated: true, ..Steadiness::default() };
        assert!(repeated.trouble().is_some());
        let waited = Steadiness { waited: true, ..Steadiness::default() };
        assert!(waited.trouble().is_some());
    }

    #[test]
    fn a_row_that_went_without_a_word_is_not_explained() {
        let record = |deleted_at| Record {
            source_id: 1,
            workspace_id: None,
            modified_at: Some(at(0)),
            started_at: None,
            user_id: None,
            deleted_at,
            data: bytes::Bytes::new(),
        };
        let changes = |records| Page { records, ..Page::default() };
        assert!(!explains(&changes(Vec::new()), 450, 449));
        assert!(explains(&changes(vec![record(Some(at(0)))]), 450, 449));
        assert!(explains(&changes(vec![record(None)]), 450, 451));
        assert!(!explains(&changes(vec![record(None)]), 450, 452));
    }

    #[test]
    fn lengths_at_which_lists_are_cut_are_known() {
        for count in [25, 50, 75, 100, 150, 151, 200, 201, 1_000] {
            assert!(is_page_size(count), "{count}");
        }
        for count in [0, 1, 49, 51, 152, 199] {
            assert!(!is_page_size(count), "{count}");
        }
    }

    #[test]
    fn what_may_have_changed_just_before_the_first_page_is_compared_with_the_pages() {
        let begun = Begun { at: at(10), uncertainty: SignedDuration::from_millis(700) };
        assert_eq!(begun.earliest(), at(9));
        let record = |second, deleted_at: Option<Timestamp>| Record {
            source_id: 1,
            workspace_id: None,
            modified_at: Some(at(second)),
            started_at: None,
            user_id: None,
            deleted_at,
            data: bytes::Bytes::new(),
        };
        let is_quiet = |changed: &Record, read: &[Record]| {
            begun.is_quiet(&Page { records: vec![changed.clone()], ..Page::default() }, read)
        };
        assert!(is_quiet(&record(8, None), &[]));
        let (edited, deleted) = (record(9, None), record(9, Some(at(9))));
        assert!(is_quiet(&edited, &[record(9, None)]));
        assert!(!is_quiet(&edited, &[record(3, None)]), "it was read before it was edited");
        assert!(!is_quiet(&edited, &[]), "it was not read at all");
        assert!(is_quiet(&deleted, &[]));
        assert!(!is_quiet(&deleted, &[record(3, None)]), "it was read before it was deleted");
        assert!(!is_quiet(&record(10, None), &[record(10, None)]));
    }
}
