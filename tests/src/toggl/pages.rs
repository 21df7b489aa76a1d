//! Which records of a list an answer holds.

use super::behaviour::{Rest, ShortPage};
use super::record::Record;

/// Whether archived records are listed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    Active,
    Archived,
    All,
}

impl Shown {
    pub(super) fn lets_through(self, record: &Record) -> bool {
        match self {
            Self::Active => record.is_active(),
            Self::Archived => !record.is_active(),
            Self::All => true,
        }
    }
}

/// The rows of a page, the first page being 1.
pub(super) fn rows_of_page<'r>(
    records: &[&'r Record],
    page: usize,
    size: usize,
    short: Option<ShortPage>,
) -> impl Iterator<Item = &'r Record> {
    let first = (page - 1).saturating_mul(size);
    let (first, size) = match short {
        Some(short) if short.page == page => (first, size.min(short.rows)),
        Some(short) if short.page < page && short.rest == Rest::Follows => {
            (first - size.saturating_sub(short.rows), size)
        }
        _ => (first, size),
    };
    records.iter().copied().skip(first).take(size)
}
