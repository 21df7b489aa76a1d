//! What the pages of a report may claim, page by page, so that no more than a few pages are ever
//! held: entries come in the order of their starts, so what lies well before the newest start seen
//! is complete.
//!
//! Toggl does not say whether it sorts by the moment or by the owner's clock, so "well before" is
//! more than any two clocks can differ. And that the order is the one that was asked for, the rows
//! themselves must show: each person's starts rise. Where they do not, nothing more is claimed.

use jiff::{SignedDuration, Timestamp};
use shared::batch::{Record, Rejected};
use shared::listing;

use crate::state::Cursor;
use order::Order;

mod order;

/// The clocks of the world differ by 26 hours at most.
const DISORDER: SignedDuration = SignedDuration::from_hours(26);

/// Entries held back at most, some 30 MB. More of them within [`DISORDER`] are sent without a claim.
const MAX_PENDING: usize = 50_000;

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Where it begins; none for the first.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) fetched_at: Timestamp,
    pub(crate) records: Vec<Record>,
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) is_last: bool,
}

/// Records that may be sent, and what they are complete for.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) span: listing::Span,
    pub(crate) fetched_at: Timestamp,
    pub(crate) records: Vec<Record>,
    pub(crate) rejected: Vec<Rejected>,
}

/// The claims of one span of days.
#[derive(Debug)]
pub(crate) struct Claims {
    /// Where the next claim begins.
    until: Timestamp,
    /// End of what the span is complete for.
    to: Timestamp,
    /// Whose entries are claimed; none for everybody's.
    user_id: Option<i64>,
    /// End of the last claim that was made. An entry before it comes too late.
    claimed: Timestamp,
    /// Why nothing more may be claimed, if so.
    doubt: Option<&'static str>,
    /// Whether more came within [`DISORDER`] than may be held back, and went out without a claim.
    crowded: bool,
    order: Order,
    /// Whether the next page may have been seen before, by a run that was interrupted.
    resumed: bool,
    pending: Vec<(usize, Record)>,
    /// Pages with pending records, and the last one: number, cursor, time.
    pages: Vec<(usize, Option<Cursor>, Timestamp)>,
    next_page: usize,
}

impl Arrived {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rejected.is_empty()
    }
}

impl Claims {
    /// Nothing has been read yet.
    pub(crate) fn new(from: Timestamp, to: Timestamp, user_id: Option<i64>) -> Self {
        Self {
            until: from,
            to,
            user_id,
            claimed: Timestamp::MIN,
            doubt: None,
            crowded: false,
            order: Order::default(),
            resumed: false,
            pending: Vec::new(),
            pages: Vec::new(),
            next_page: 0,
        }
    }

    /// Goes on where an earlier run came to: [`until`](Self::until) and [`resume_at`](Self::resume_at)
    /// of its last page.
    pub(crate) fn resumed(until: Option<Timestamp>, to: Timestamp, user_id: Option<i64>) -> Self {
        let (from, doubt) = match until {
            Some(until) => (until, None),
            None => (to, Some("it was interrupted after something in it had been uncertain")),
        };
        Self { doubt, resumed: true, ..Self::new(from, to, user_id) }
    }

    /// Where the next claim begins; none once nothing more can be claimed.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.doubt.is_none().then_some(self.until)
    }

    /// Why it does not claim all that it read.
    pub(crate) fn doubt(&self) -> Option<&'static str> {
        let crowded =
            || self.crowded.then_some("a day of it has more entries than can be held back");
        self.doubt.or_else(crowded)
    }

    /// Claims no more than what lies between these.
    pub(crate) fn narrow(&mut self, (from, to): (Timestamp, Timestamp)) {
        self.until = self.until.max(from);
        self.to = self.to.min(to);
    }

    /// Records that have come and were not sent.
    pub(crate) fn held_back(&self) -> usize {
        self.pending.len()
    }

    /// Whether an entry of the next page can not have been sent by the run that was interrupted.
    pub(crate) fn is_new(&self, start: Timestamp) -> bool {
        !self.resumed || start >= self.until
    }

    /// Claims nothing more, for this reason; answers what was held back for a claim.
    pub(crate) fn abandon(&mut self, reason: &'static str) -> Vec<Part> {
        self.doubt.get_or_insert(reason);
        let records: Vec<_> = self.pending.drain(..).map(|(_, record)| record).collect();
        let fetched_at = self.pages.iter().map(|(.., fetched_at)| *fetched_at).min();
        let part = fetched_at.filter(|_| !records.is_empty()).map(|fetched_at| Part {
            span: listing::Span::Partial,
            fetched_at,
            records,
            rejected: Vec::new(),
        });
        part.into_iter().collect()
    }

    /// The page to go on with, so that nothing that is held back here is missed: `next`, unless an
    /// earlier page still has records that were not sent.
    pub(crate) fn resume_at(&self, next: Option<Cursor>) -> Option<Cursor> {
        match self.pending.iter().map(|(page, _)| *page).min() {
            Some(first) => self
                .pages
                .iter()
                .find(|(page, ..)| *page == first)
                .and_then(|(_, at, _)| at.clone()),
            None => next,
        }
    }

    /// Takes a page, and answers what may be sent now: all of it but what is held back for a claim.
    pub(crate) fn take(&mut self, page: Arrived) -> Vec<Part> {
        let Arrived { cursor, fetched_at, records, rejected, is_last } = page;
        self.pages.push((self.next_page, cursor, fetched_at));
        let newest = records.iter().filter_map(|record| record.started_at).max();
        self.doubt = self.doubt.or_else(|| self.doubt_of(&records, &rejected, is_last));
        self.resumed = false;
        let mut loose = Vec::new();
        for record in records {
            match record.started_at {
                Some(start) if self.doubt.is_none() && self.until <= start && start < self.to => {
                    self.pending.push((self.next_page, record));
                }
                _ => loose.push(record),
            }
        }
        self.next_page += 1;
        let mut parts = Vec::new();
        let is_crowded = self.pending.len() > MAX_PENDING;
        self.crowded |= is_crowded;
        if self.doubt.is_some() || is_crowded {
            loose.extend(self.pending.drain(..).map(|(_, record)| record));
            // Starts that were sent without a claim are not claimed later either.
            let beyond = newest.and_then(|at| at.checked_add(SignedDuration::from_micros(1)).ok());
            self.until = self.until.max(beyond.unwrap_or(self.to)).min(self.to);
        }
        if self.doubt.is_none() {
            let sure = newest.filter(|_| self.order.is_rising());
            let well_before = sure.and_then(|at| at.checked_sub(DISORDER).ok());
            let end = if is_last { Some(self.to) } else { well_before.map(|at| at.min(self.to)) };
            parts.extend(end.filter(|end| *end > self.until).map(|end| self.claim(end)));
        }
        if !loose.is_empty() || !rejected.is_empty() {
            let span = listing::Span::Partial;
            parts.push(Part { span, fetched_at, records: loose, rejected });
        }
        self.forget_pages();
        parts
    }

    /// What is wrong with a page, if anything. An answer of one page is complete in whatever order.
    fn doubt_of(
        &mut self,
        records: &[Record],
        rejected: &[Rejected],
        is_last: bool,
    ) -> Option<&'static str> {
        let late = |record: &Record| record.started_at.is_some_and(|start| start < self.claimed);
        let is_late = !self.resumed && records.iter().any(late);
        self.order.note(records);
        if !rejected.is_empty() {
            Some("some of its records cannot be used")
        } else if is_late || (self.order.is_broken() && !(is_last && self.next_page == 0)) {
            Some("its entries came in another order than by their start")
        } else {
            None
        }
    }

    /// Everything from the last claim to `end`. It was true from the first page on that it rests on.
    fn claim(&mut self, end: Timestamp) -> Part {
        let oldest = self.pages.iter().map(|(.., fetched_at)| *fetched_at).min();
        let (ready, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(_, record)| record.started_at.is_some_and(|start| start < end));
        self.pending = pending;
        let span = listing::Span::Starts { from: self.until, to: end, user_id: self.user_id };
        self.until = end;
        self.claimed = end;
        let ready: Vec<(usize, Record)> = ready;
        Part {
            span,
            fetched_at: oldest.unwrap_or(Timestamp::MIN),
            records: ready.into_iter().map(|(_, record)| record).collect(),
            rejected: Vec::new(),
        }
    }

    /// The next claim rests on the pages with pending records, and on where the last one ended.
    fn forget_pages(&mut self) {
        let last = self.next_page.saturating_sub(1);
        let oldest = self.pending.iter().map(|(page, _)| *page).min().unwrap_or(last);
        self.pages.retain(|(page, ..)| *page >= oldest);
    }
}

#[cfg(test)]
mod tests;
