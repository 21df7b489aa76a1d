//! Which entries a report shows, in which order, and which of them share a row.

use std::collections::HashMap;
use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::request::Days;
use super::row_text::common;
use crate::toggl::account::Account;
use crate::toggl::time_entries::TimeEntry;

/// All rows of a report, of which a page is a part.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    pub(super) account: &'a Account,
    pub(super) workspace_id: i64,
    pub(super) only_user_id: Option<i64>,
    /// Empty means everybody.
    pub(super) user_ids: &'a [i64],
    /// Empty means all.
    pub(super) time_entry_ids: &'a [i64],
    pub(super) windows: Windows,
    pub(super) shows_running: bool,
    pub(super) is_descending: bool,
    /// Then that it is descending has no meaning.
    pub(super) is_by_description: bool,
    pub(super) row_length: usize,
}

/// The entries of a row, at least one, in the order of the listing.
#[derive(Debug)]
pub(super) struct Row<'a>(Vec<&'a TimeEntry>);

/// The days of a report as unix seconds, the ends exclusive.
#[derive(Debug)]
pub(super) struct Windows {
    of_user: HashMap<i64, Range<i64>>,
    of_others: Range<i64>,
}

impl<'a> Row<'a> {
    pub(super) fn entries(&self) -> &[&'a TimeEntry] {
        &self.0
    }

    /// A cursor names a row by its first entry.
    pub(super) fn key(&self) -> (i64, i64) {
        self.first().key()
    }

    pub(super) fn first(&self) -> &'a TimeEntry {
        self.0.first().expect("a row holds an entry")
    }
}

impl<'a> Listing<'a> {
    /// The rows from this one on, or all.
    ///
    /// Rows of one entry are found by their start, so a page costs the same wherever it stands.
    /// Longer ones gather what may be far apart: the whole listing is read for every page.
    pub(super) fn rows(&self, from: Option<(i64, i64)>) -> Box<dyn Iterator<Item = Row<'a>> + '_> {
        if self.is_by_description {
            return Box::new(self.rows_by_description(from).into_iter());
        }
        if self.row_length <= 1 {
            return Box::new(self.entries(from).map(|entry| Row(vec![entry])));
        }
        let is_before = move |row: &Row<'_>| match from {
            None => false,
            Some(key) if self.is_descending => row.key() > key,
            Some(key) => row.key() < key,
        };
        Box::new(self.long_rows().into_iter().skip_while(is_before))
    }

    fn rows_by_description(&self, from: Option<(i64, i64)>) -> Vec<Row<'a>> {
        let mut rows = self.long_rows();
        rows.sort_by_key(|row| by_description(row.first()));
        // That of an entry that has been deleted meanwhile is known all the same.
        if let Some(first) = from.and_then(|(_, id)| self.account.time_entry(id)) {
            rows.retain(|row| by_description(row.first()) >= by_description(first));
        }
        rows
    }

    fn long_rows(&self) -> Vec<Row<'a>> {
        let mut rows: Vec<Row<'a>> = Vec::new();
        let mut open = HashMap::new();
        for entry in self.entries(None) {
            let alike = (entry.user_id, common(entry));
            let place = *open.entry(alike).or_insert_with(|| {
                rows.push(Row(Vec::new()));
                rows.len() - 1
            });
            rows[place].0.push(entry);
            if rows[place].0.len() == self.row_length {
                open.remove(&alike);
            }
        }
        rows
    }

    pub(super) fn entries(
        &self,
        from: Option<(i64, i64)>,
    ) -> Box<dyn Iterator<Item = &'a TimeEntry> + '_> {
        let Range { start, end } = self.windows.whole();
        let (first, last) = ((start, i64::MIN), (end.saturating_sub(1), i64::MAX));
        let entries = &self.account.time_entries;
        if self.is_descending {
            let last = from.map_or(last, |from| last.min(from));
            Box::new(entries.between(first, last).rev().filter(|entry| self.shows(entry)))
        } else {
            let first = from.map_or(first, |from| first.max(from));
            Box::new(entries.between(first, last).filter(|entry| self.shows(entry)))
        }
    }

    fn shows(&self, entry: &TimeEntry) -> bool {
        entry.workspace_id == Some(self.workspace_id)
            && !entry.is_deleted
            && (self.shows_running || !entry.is_running)
            && self.only_user_id.is_none_or(|id| id == entry.user_id)
            && (self.user_ids.is_empty() || self.user_ids.contains(&entry.user_id))
            && (self.time_entry_ids.is_empty() || self.time_entry_ids.contains(&entry.id))
            && self.windows.of(entry.user_id).contains(&entry.start_s)
    }
}

fn by_description(entry: &TimeEntry) -> (&str, i64, i64) {
    (entry.value(entry.places.description), entry.start_s, entry.id)
}

impl Days {
    pub(super) fn windows(self, account: &Account) -> Windows {
        let of_user = account.users_with_time_zones();
        let window = |id| (id, self.window(account.time_zone_of(id)));
        Windows {
            of_user: of_user.map(window).collect(),
            of_others: self.window(account.time_zone()),
        }
    }

    fn window(self, time_zone: &TimeZone) -> Range<i64> {
        let midnight = |day: Date| {
            let midnight = day.to_zoned(time_zone.clone()).expect("a day of this era");
            midnight.timestamp().as_second()
        };
        let end = self.last.map(|day| day.tomorrow().expect("a day of this era"));
        self.first.map_or(i64::MIN, midnight)..end.map_or(i64::MAX, midnight)
    }
}

impl Windows {
    fn of(&self, user_id: i64) -> &Range<i64> {
        self.of_user.get(&user_id).unwrap_or(&self.of_others)
    }

    /// From the first second that is anybody's to the last.
    fn whole(&self) -> Range<i64> {
        self.of_user.values().fold(self.of_others.clone(), |whole, window| {
            whole.start.min(window.start)..whole.end.max(window.end)
        })
    }
}
