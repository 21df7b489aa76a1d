//! Which accounts have a request open, and requests that wait for those of other accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Where requests wait for each other.
#[derive(Debug)]
pub(super) struct Gathering {
    accounts: usize,
    there: watch::Sender<BTreeSet<usize>>,
}

impl Gathering {
    pub(super) fn of(accounts: usize) -> Self {
        Self { accounts, there: watch::Sender::default() }
    }

    /// Returns once so many accounts have come, this one among them.
    pub(super) async fn join(&self, account: usize) {
        self.there.send_if_modified(|there| there.insert(account));
        let mut there = self.there.subscribe();
        // The sender lives as long as this does.
        drop(there.wait_for(|there| there.len() >= self.accounts).await);
    }
}

/// Who is being answered.
#[derive(Debug, Default)]
pub(super) struct Attendance(Mutex<Present>);

#[derive(Debug, Default)]
struct Present {
    requests: BTreeMap<usize, usize>,
    most: usize,
}

impl Attendance {
    /// Until the answer is dropped, this account has one more request open.
    pub(super) fn enter(&self, account: usize) -> Visit<'_> {
        let mut present = self.lock();
        *present.requests.entry(account).or_default() += 1;
        present.most = present.most.max(present.requests.len());
        Visit { attendance: self, account }
    }

    /// The most accounts that had requests open at the same time.
    pub(super) fn most(&self) -> usize {
        self.lock().most
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is open.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    attendance: &'a Attendance,
    account: usize,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut present = self.attendance.lock();
        if let Some(requests) = present.requests.get_mut(&self.account) {
            *requests -= 1;
            if *requests == 0 {
                present.requests.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_counted_and_not_their_requests() {
        let attendance = Attendance::default();
        let first = [attendance.enter(1), attendance.enter(1)];
        assert_eq!(attendance.most(), 1);
        let second = attendance.enter(2);
        drop(first);
        let third = attendance.enter(3);
        assert_eq!(attendance.most(), 2);
        drop((second, third));
    }

    #[tokio::test]
    async fn nobody_goes_on_before_all_have_come() {
        let gathering = Gathering::of(2);
        let mut first = Box::pin(gathering.join(1));
        assert!(futures::poll!(&mut first).is_pending());
        let mut again = Box::pin(gathering.join(1));
        assert!(futures::poll!(&mut again).is_pending());
        gathering.join(2).await;
        first.await;
        again.await;
        gathering.join(1).await;
    }
}
