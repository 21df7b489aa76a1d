//! Batches that do not fit into the time that a transaction may take: they are cut, and their claims
//! with them, as a fetcher cuts a listing into messages. Each piece is a transaction of its own; the
//! ledger row comes with the last one, and the message is acknowledged after that.
//!
//! How much fits is learnt for each table: half after each time that ran out, down to one record, and
//! more time, too; and both go back as the table gets quicker.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use shared::batch::{Batch, Coverage, Record};
use shared::listing::MAX_RECORDS;
use shared::resource::Resource;

use super::outcome::{Applied, ApplyError};

/// What a batch may take as a rule. Past it the peer is taken for dead. Less than a minute, in which
/// loading goes on again after any trouble.
pub(crate) const APPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// What one that cannot be cut may take.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

/// How much sooner the server ends a statement than we give up the connection.
const STATEMENT_MARGIN: Duration = Duration::from_secs(5);

/// What is done in less than this part of its time may be more the next time.
const QUICK: u32 = 4;

/// How far a batch has been applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cutting {
    /// Records behind which the next piece begins, in the order in which they are cut.
    at: usize,
    /// What the pieces before it did.
    before: Applied,
}

impl Cutting {
    /// Notes that a piece is committed. What the whole batch did, if it was the last one.
    pub(crate) fn advance(&mut self, piece: &Piece<'_>, applied: Applied) -> Option<Applied> {
        self.at = piece.range.end;
        self.before = self.before.and(applied);
        // One that is kept whole is done with, whichever piece showed that.
        let is_kept = applied.received > piece.range.len() + piece.batch.rejected.len();
        (piece.is_last() || is_kept).then_some(self.before)
    }
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
        if at == 0 && len <= fit.most {
            return Self::whole(batch, fit.limit);
        }
        let mut order: Vec<(i64, usize)> = (0..)
            .zip(&batch.records)
            .map(|(index, record)| (place(&batch.coverage, record), index))
            .collect();
        order.sort_unstable();
        let place_of = |number: usize| order.get(number).map(|(place, _)| *place);
        let mut end = at.saturating_add(fit.most.max(1)).min(len);
        while end < len && place_of(end - 1) == place_of(end) {
            end += 1;
        }
        if at == 0 && end == len {
            return Self::whole(batch, fit.limit);
        }
        let mut members = vec![false; len];
        for (_, index) in order.get(at..end).unwrap_or_default() {
            if let Some(member) = members.get_mut(*index) {
                *member = true;
            }
        }
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

    /// How long a statement may take, where that is not what it may in every session.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        (self.limit != APPLY_TIMEOUT).then(|| self.limit.saturating_sub(STATEMENT_MARGIN))
    }
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

/// How much of a table fits into one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Records in a piece.
    most: usize,
    /// How long it may take.
    limit: Duration,
    /// How often in a row nobody answered in time.
    silences: u32,
}

impl Default for Fit {
    fn default() -> Self {
        Self { most: usize::MAX, limit: APPLY_TIMEOUT, silences: 0 }
    }
}

impl Fit {
    pub(crate) fn of_at_most(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The server itself says that a statement took too long.
    fn ran_out(self, piece: &Piece<'_>) -> Self {
        Self { most: half(piece), limit: longer(self.limit), silences: 0 }
    }

    /// Nobody answered: a peer that is gone, or much that takes little each. What cannot be cut gets
    /// more time only where that was so before, for a peer that is gone would be waited for as long.
    fn fell_silent(self, piece: &Piece<'_>) -> Self {
        let is_slow = !piece.can_be_cut && self.silences > 0;
        let limit = if is_slow { longer(self.limit) } else { self.limit };
        Self { most: half(piece), limit, silences: self.silences + 1 }
    }

    fn fitted(self, piece: &Piece<'_>, elapsed: Duration) -> Self {
        let Self { most, limit, .. } = self;
        let records = u32::try_from(piece.range.len().max(1)).unwrap_or(u32::MAX);
        let full = u32::try_from(most).unwrap_or(u32::MAX).min(records.saturating_mul(QUICK * 2));
        // What as many records as there may be would have taken.
        let elapsed = elapsed * full.max(records) / records;
        if elapsed * QUICK > limit {
            return Self { silences: 0, ..self };
        }
        if limit > APPLY_TIMEOUT {
            return Self { most, limit: (limit / 2).max(APPLY_TIMEOUT), silences: 0 };
        }
        let most = most.saturating_mul(2);
        Self { most: if most < MAX_RECORDS { most } else { usize::MAX }, limit, silences: 0 }
    }
}

fn half(piece: &Piece<'_>) -> usize {
    (piece.range.len() / 2).max(1)
}

fn longer(limit: Duration) -> Duration {
    (limit * 2).min(LONGEST_TIMEOUT)
}

/// What is known of all tables, shared by the connections of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fits(Arc<Mutex<HashMap<&'static str, Fit>>>);

impl Fits {
    /// Where this is known of one table.
    pub(crate) fn with(resource: &'static Resource, fit: Fit) -> Self {
        Self(Arc::new(Mutex::new(HashMap::from([(resource.name, fit)]))))
    }

    pub(crate) fn of(&self, resource: &Resource) -> Fit {
        self.lock().get(resource.name).copied().unwrap_or_default()
    }

    /// Whether batches of the table are cut, or take longer than others.
    pub(crate) fn is_slow(&self, resource: &Resource) -> bool {
        let fit = self.of(resource);
        fit.most < usize::MAX || fit.limit > APPLY_TIMEOUT
    }

    /// Learns from what became of a piece.
    pub(crate) fn learn(
        &self,
        resource: &'static Resource,
        piece: &Piece<'_>,
        result: &Result<Applied, ApplyError>,
        elapsed: Duration,
    ) {
        let mut fits = self.lock();
        let fit = fits.entry(resource.name).or_default();
        *fit = match result {
            Ok(_) => fit.fitted(piece, elapsed),
            Err(ApplyError::TimedOut(_)) => fit.fell_silent(piece),
            Err(error) if error.is_out_of_time() => fit.ran_out(piece),
            Err(_) => *fit,
        };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Fit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
