//! How much of each table fits into the time that a transaction may take. It is learnt: half after each
//! time that ran out, down to one record, and more time, too; and both go back as the table gets quicker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::listing::MAX_RECORDS;
use shared::resource::Resource;

use super::applied::ApplyError;

/// What a batch may take as a rule. Past it the peer is taken for dead. Less than a minute, in which
/// loading goes on again after any trouble.
pub(crate) const APPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// What one that cannot be cut may take.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

/// How much sooner the server ends a statement than we give up the connection.
pub(super) const STATEMENT_MARGIN: Duration = Duration::from_secs(5);

/// What is done in less than this part of its time may be more the next time.
const QUICK: u32 = 4;

/// Of what was applied in one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) records: usize,
    /// Whether fewer of them could have been applied.
    pub(crate) can_be_cut: bool,
}

/// How much of a table fits into one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    /// Records in a piece.
    pub(super) most: usize,
    /// How long it may take.
    pub(super) limit: Duration,
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

    /// Whether so many records are one piece.
    pub(super) const fn holds(self, records: usize) -> bool {
        records <= self.most
    }

    /// The server itself says that a statement took too long.
    pub(super) fn ran_out(self, size: Size) -> Self {
        Self { most: half(size), limit: longer(self.limit), silences: 0 }
    }

    /// Nobody answered: a peer that is gone, or much that takes little each. What cannot be cut gets
    /// more time only where that was so before, for a peer that is gone would be waited for as long.
    pub(super) fn fell_silent(self, size: Size) -> Self {
        let is_slow = !size.can_be_cut && self.silences > 0;
        let limit = if is_slow { longer(self.limit) } else { self.limit };
        Self { most: half(size), limit, silences: self.silences + 1 }
    }

    pub(super) fn fitted(self, size: Size, elapsed: Duration) -> Self {
        let Self { most, limit, .. } = self;
        let records = u32::try_from(size.records.max(1)).unwrap_or(u32::MAX);
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

fn half(size: Size) -> usize {
    (size.records / 2).max(1)
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

    /// Learns from a piece that was applied, or by what error it was not.
    pub(crate) fn learn(
        &self,
        resource: &'static Resource,
        size: Size,
        error: Option<&ApplyError>,
        elapsed: Duration,
    ) {
        let mut fits = self.lock();
        let fit = fits.entry(resource.name).or_default();
        *fit = match error {
            None => fit.fitted(size, elapsed),
            Some(ApplyError::TimedOut(_)) => fit.fell_silent(size),
            Some(error) if error.is_out_of_time() => fit.ran_out(size),
            Some(_) => *fit,
        };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Fit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
