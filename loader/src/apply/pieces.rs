//! Batches that do not fit into the time that a transaction may take: they are cut, and their claims
//! with them, as a fetcher cuts a listing into messages. Each piece is a transaction of its own; the
//! row of `loads` comes with the last one, and the message is acknowledged after that.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use shared::batch::{Batch, Coverage, Record};

use super::applied::Applied;
use super::fits::{APPLY_TIMEOUT, Fit, STATEMENT_MARGIN, Size};

/// How far a batch has been applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cutting {
    /// Records behind which the next piece begins, in the order in which they are cut.
    at: usize,
    /// What the pieces before it did.
    before: Applied,
}

impl Cutting {
    /// Whether some of it is committed.
    pub(crate) const fn has_begun(&self) -> bool {
        self.at > 0
    }

    /// Notes that something is committed. What the whole batch did, if there is no more to come.
    pub(crate) fn advance(&mut self, piece: &Piece<'_>, done: Done) -> Option<Applied> {
        match done {
            Done::Piece(applied) => {
                self.at = piece.range.end;
                self.before = self.before.and(applied);
                piece.is_last().then_some(self.before)
            }
            Done::Whole(applied) => Some(self.before.and(applied)),
        }
    }
}

/// What is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done {
    /// What the piece did.
    Piece(Applied),
    /// The rest of the batch is done with, too: its shape has changed, whichever piece showed that, and
    /// all of it was kept.
    Whole(Applied),
}

/// What is applied in one transaction: a batch, or a part of one.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// The batch that came.
    pub(crate) whole: &'a Batch,
    /// What of it this is, with the claim that goes with it.
    pub(crate) batch: Cow<'a, Batch>,
    /// What the pieces before it did.
    pub(crate) before: Applied,
    /// How far ahead the clock was, where the batch does not have the time of fetching that came.
    pub(crate) clock_ahead: Option<SignedDuration>,
    /// The state of the list of the forgotten that the batch is without.
    pub(crate) forgotten: i64,
    /// How long it may take.
    pub(crate) limit: Duration,
    /// In the order in which they are cut.
    range: Range<usize>,
    /// Which records of the whole it has; none for all.
    members: Option<Vec<bool>>,
    can_be_cut: bool,
}

impl<'a> Piece<'a> {
    /// The batch as it is.
    pub(crate) fn whole(batch: &'a Batch, limit: Duration) -> Self {
        let first = batch.records.first().map(|record| place(&batch.coverage, record));
        let is_other = |record| Some(place(&batch.coverage, record)) != first;
        Self {
            whole: batch,
            batch: Cow::Borrowed(batch),
            before: Applied::default(),
            clock_ahead: None,
            forgotten: 0,
            limit,
            range: 0..batch.records.len(),
            members: None,
            can_be_cut: batch.records.iter().any(is_other),
        }
    }

    /// What comes next, of as many records as fit, or as cannot be told apart by a claim.
    pub(crate) fn next(batch: &'a Batch, cutting: &Cutting, fit: Fit) -> Self {
        let (at, len) = (cutting.at, batch.records.len());
        if at == 0 && fit.holds(len) {
            return Self::whole(batch, fit.limit);
        }
        let order = order(batch);
        let place_of = |number: usize| order.get(number).map(|(place, _)| *place);
        let mut end = at.saturating_add(fit.most.max(1)).min(len);
        while end < len && place_of(end - 1) == place_of(end) {
            end += 1;
        }
        if at == 0 && end == len {
            return Self::whole(batch, fit.limit);
        }
        let members = members(order.get(at..end).unwrap_or_default(), len);
        let bounds = Bounds {
            last_before: at.checked_sub(1).and_then(place_of),
            first: (at > 0).then(|| place_of(at)).flatten(),
            last: (end < len).then(|| place_of(end - 1)).flatten(),
            first_after: place_of(end),
        };
        let chosen = batch.records.iter().zip(&members).filter(|(_, is_member)| **is_member);
        let piece = Batch {
            coverage: bounds.cut(&batch.coverage),
            records: chosen.map(|(record, _)| record.clone()).collect(),
            rejected: if end == len { batch.rejected.clone() } else { Vec::new() },
            resource: batch.resource.clone(),
            api_version: batch.api_version.clone(),
            ..*batch
        };
        Self {
            whole: batch,
            batch: Cow::Owned(piece),
            before: cutting.before,
            clock_ahead: None,
            forgotten: 0,
            limit: fit.limit,
            range: at..end,
            members: Some(members),
            can_be_cut: place_of(at) != place_of(end - 1),
        }
    }

    /// Of a batch that does not have the time of fetching that came, or from which the forgotten are
    /// left out.
    pub(crate) fn of(self, clock_ahead: Option<SignedDuration>, forgotten: i64) -> Self {
        Self { clock_ahead, forgotten, ..self }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.members.is_none()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.range.start == 0
    }

    pub(crate) fn is_last(&self) -> bool {
        self.range.end == self.whole.records.len()
    }

    /// Whether this record of the whole is in it.
    pub(crate) fn has(&self, record_index: usize) -> bool {
        self.members.as_ref().is_none_or(|members| members.get(record_index) == Some(&true))
    }

    /// What is learnt from, of how long it takes.
    pub(crate) fn size(&self) -> Size {
        Size { records: self.range.len(), can_be_cut: self.can_be_cut }
    }

    /// How long a statement may take, where that is not what it may in every session.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        (self.limit != APPLY_TIMEOUT).then(|| self.limit.saturating_sub(STATEMENT_MARGIN))
    }
}

/// Places and indices of all records, in the order in which they are cut.
fn order(batch: &Batch) -> Vec<(i64, usize)> {
    let places = batch.records.iter().map(|record| place(&batch.coverage, record));
    let mut order: Vec<_> = places.zip(0..).collect();
    order.sort_unstable();
    order
}

/// For each of so many records, whether it is one of these.
fn members(chosen: &[(i64, usize)], len: usize) -> Vec<bool> {
    let mut members = vec![false; len];
    for (_, index) in chosen {
        if let Some(member) = members.get_mut(*index) {
            *member = true;
        }
    }
    members
}

/// Where a record stands among those that a claim tells apart; what the claim does not cover stands at
/// its ends.
fn place(coverage: &Coverage, record: &Record) -> i64 {
    match *coverage {
        Coverage::Partial => record.source_id,
        Coverage::Ids { after, through } => {
            record.source_id.clamp(after.unwrap_or(i64::MIN), through.unwrap_or(i64::MAX))
        }
        Coverage::Starts { from, to, .. } => {
            record.started_at.unwrap_or(from).clamp(from, to).as_microsecond()
        }
    }
}

/// Places at the ends of a piece: of its own records, and of those beside it. None at the ends of the
/// whole.
struct Bounds {
    last_before: Option<i64>,
    first: Option<i64>,
    last: Option<i64>,
    first_after: Option<i64>,
}

impl Bounds {
    fn cut(&self, coverage: &Coverage) -> Coverage {
        let at = |place: i64| jiff::Timestamp::from_microsecond(place).ok();
        match *coverage {
            Coverage::Partial => Coverage::Partial,
            Coverage::Ids { after, through } => {
                Coverage::Ids { after: self.last_before.or(after), through: self.last.or(through) }
            }
            Coverage::Starts { from, to, user_id } => Coverage::Starts {
                from: self.first.and_then(at).unwrap_or(from),
                to: self.first_after.and_then(at).unwrap_or(to),
                user_id,
            },
        }
    }
}

#[cfg(test)]
mod tests;
