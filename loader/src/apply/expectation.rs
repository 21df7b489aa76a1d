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
        if marked > 0 || compared.stale > 0 || compared.write.len() > compared.new {
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
