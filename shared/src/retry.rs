//! When to try again, and how long to wait; the one file that names the `backoff` crate.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// What an error asks of whoever handles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Passing trouble: the same again later, after this long if somebody said so.
    Retry(Option<Duration>),
    /// Never gets better, but concerns only this item: report it and go on.
    Skip,
    /// Nothing of this kind can succeed until a person acts.
    Stop,
}

/// Growing waits between attempts, spread by half to either side so that several processes do not
/// come back in step.
#[derive(Debug)]
pub struct Delays(ExponentialBackoff);

impl Delays {
    /// Without end: for trouble that only patience can cure.
    pub fn forever(first: Duration, longest: Duration) -> Self {
        Self::build(first, longest, None)
    }

    /// Until `total` has passed since the start or the last [`reset`](Self::reset).
    pub fn within(first: Duration, longest: Duration, total: Duration) -> Self {
        Self::build(first, longest, Some(total))
    }

    fn build(first: Duration, longest: Duration, total: Option<Duration>) -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_multiplier(2.0)
                .with_randomization_factor(0.5)
                .with_max_interval(longest)
                .with_max_elapsed_time(total)
                .build(),
        )
    }

    /// The next wait, or none when the time is up.
    pub fn next_delay(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_longest_and_never_end() {
        let mut delays = Delays::forever(Duration::from_millis(100), Duration::from_secs(2));
        let waits: Vec<_> = (0..50).map(|_| delays.next_delay().unwrap()).collect();
        assert!(waits[0] <= Duration::from_millis(151), "{waits:?}");
        assert!(
            waits.iter().all(|wait| *wait <= Duration::from_secs(3) + Duration::from_millis(1))
        );
        assert!(waits[20..].iter().all(|wait| *wait >= Duration::from_secs(1)), "{waits:?}");
    }

    #[test]
    fn delays_within_a_time_end_with_it() {
        let mut delays = Delays::within(Duration::ZERO, Duration::ZERO, Duration::ZERO);
        std::iter::from_fn(|| delays.next_delay()).take(1_000_000).for_each(drop);
        assert_eq!(delays.next_delay(), None);
    }
}
