//! One token bucket for all requests of a token, however many tasks ask.
//!
//! Toggl's burst limit is a leaky bucket of about one request a second for each token and address
//! (engineering.toggl.com/docs).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket of `burst` requests that refills at a steady rate (GCRA: instead of counting tokens it
/// keeps the time at which the bucket would be full again).
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    full_at: Instant,
    blocked_until: Instant,
}

impl Pace {
    /// `requests_per_second` must be positive.
    pub(super) fn new(requests_per_second: f64, burst: u32) -> Self {
        let interval = Duration::try_from_secs_f64(requests_per_second.recip())
            .unwrap_or(Duration::from_secs(1));
        let now = Instant::now();
        let state = State { full_at: now, blocked_until: now };
        Self { interval, burst: burst.max(1), state: Mutex::new(state) }
    }

    /// Waits for a turn. Turns are given in the order they were asked for.
    pub(super) async fn turn(&self) {
        let mut at = self.reserve();
        loop {
            tokio::time::sleep_until(at).await;
            // Somebody may have been told to slow down while this one slept: it queues up anew.
            if self.locked().blocked_until <= Instant::now() {
                return;
            }
            at = self.reserve();
        }
    }

    /// Empties the bucket: no turn before `wait` has passed, then one at a time.
    pub(super) fn block(&self, wait: Duration) {
        let mut state = self.locked();
        let until = Instant::now() + wait;
        state.blocked_until = state.blocked_until.max(until);
        state.full_at = state.full_at.max(until + self.interval * (self.burst - 1));
    }

    fn reserve(&self) -> Instant {
        let mut state = self.locked();
        let now = Instant::now();
        let full_at = state.full_at.max(now);
        state.full_at = full_at + self.interval;
        full_at.checked_sub(self.interval * (self.burst - 1)).unwrap_or(now)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turns(pace: &Pace, count: usize) -> Vec<u64> {
        let start = Instant::now();
        let mut at = Vec::new();
        for _ in 0..count {
            pace.turn().await;
            at.push(start.elapsed().as_secs());
        }
        at
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_the_rest_at_the_pace() {
        let pace = Pace::new(1.0, 8);
        assert_eq!(turns(&pace, 11).await, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_share_the_bucket() {
        let pace = Pace::new(1.0, 2);
        let start = Instant::now();
        futures::future::join_all((0..6).map(|_| pace.turn())).await;
        assert_eq!(start.elapsed().as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn being_blocked_empties_the_bucket() {
        let pace = Pace::new(1.0, 8);
        pace.block(Duration::from_secs(10));
        assert_eq!(turns(&pace, 3).await, [10, 11, 12]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_already_waits_for_a_turn_is_blocked_too() {
        let pace = Pace::new(1.0, 1);
        pace.turn().await;
        let start = Instant::now();
        let (waited, ()) = tokio::join!(
            async {
                pace.turn().await;
                start.elapsed().as_secs()
            },
            async { pace.block(Duration::from_secs(30)) }
        );
        assert_eq!(waited, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_while_blocked_go_one_at_a_time() {
        let pace = Pace::new(1.0, 8);
        turns(&pace, 8).await;
        let start = Instant::now();
        let turn = || async {
            pace.turn().await;
            start.elapsed().as_secs()
        };
        let waiting = futures::future::join_all([turn(), turn(), turn(), turn()]);
        let (mut at, ()) = tokio::join!(waiting, async { pace.block(Duration::from_secs(30)) });
        at.sort_unstable();
        assert!(at[0] >= 30, "{at:?}");
        assert!(at.windows(2).all(|two| two[1] > two[0]), "{at:?}");
    }
}
