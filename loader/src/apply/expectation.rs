//! What the next batch of a table is likely to bring, by what the last one was.

use super::compare::Comparison;

/// What the next batch of a table is taken for, by what the last one was: being wrong costs time and
/// nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Expectation {
    /// Equal to what is stored, all of it: only the sums are compared.
    #[default]
    Same,
    /// In part equal to what is stored, in part not there yet.
    Grown,
    /// Not there yet, all of it: inserted without looking first.
    New,
    /// Something that changes stored rows.
    Changed,
}

impl Expectation {
    pub(crate) fn by(compared: &Comparison<'_>, marked: usize) -> Self {
        if marked > 0 || compared.has_stale || compared.write.len() > compared.new {
            Self::Changed
        } else if compared.new == 0 {
            Self::Same
        } else if compared.unchanged.is_empty() {
            Self::New
        } else {
            Self::Grown
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::batch::Record;

    use super::*;
    use crate::apply::rows::Row;

    fn expected(write: usize, new: usize, unchanged: usize, has_stale: bool) -> Expectation {
        let record = Record {
            source_id: 1,
            workspace_id: None,
            modified_at: None,
            started_at: None,
            user_id: None,
            deleted_at: None,
            data: bytes::Bytes::new(),
        };
        let row = Row {
            record_index: 0,
            record: &record,
            data: "",
            workspace_id: 1,
            content_hash: 0,
            is_running: false,
            running_since: None,
            deleted_at: None,
        };
        let rows = |number| vec![row; number];
        let compared =
            Comparison { write: rows(write), new, unchanged: rows(unchanged), has_stale };
        Expectation::by(&compared, 0)
    }

    #[test]
    fn the_next_batch_is_taken_for_what_the_last_one_was() {
        assert_eq!(expected(0, 0, 5, false), Expectation::Same);
        assert_eq!(expected(0, 0, 0, false), Expectation::Same);
        assert_eq!(expected(2, 2, 0, false), Expectation::New);
        assert_eq!(expected(2, 2, 1, false), Expectation::Grown);
        assert_eq!(expected(2, 1, 0, false), Expectation::Changed);
        assert_eq!(expected(2, 2, 0, true), Expectation::Changed);
        let nothing = Comparison::default();
        assert_eq!(Expectation::by(&nothing, 1), Expectation::Changed);
    }
}
