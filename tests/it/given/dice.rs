//! Chance that can be had again: the seed is shown when a test fails, and `TEST_SEED` takes it.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

pub(crate) struct Dice(u64);

impl Dice {
    #[expect(clippy::print_stderr, reason = "shown with the failure of a test")]
    pub(crate) fn new() -> Self {
        let seed = setting("TEST_SEED").unwrap_or_else(|| Uuid::now_v7().as_u64_pair().1);
        eprintln!("seed {seed}; TEST_SEED={seed} has the same again");
        Self(seed)
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// A time below this one.
    pub(crate) fn time(&mut self, longest: Duration) -> Duration {
        let milliseconds = usize::try_from(longest.as_millis()).unwrap();
        Duration::from_millis(self.below(milliseconds) as u64)
    }

    /// So many places in the first half of the batches, in order.
    pub(crate) fn places(&mut self, number: usize, batches: usize) -> Vec<usize> {
        let mut places: Vec<_> = (0..number).map(|_| self.below(batches / 2) + 1).collect();
        places.sort_unstable();
        places
    }
}

/// A number from the environment, for those who want a test otherwise than it is.
pub(crate) fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var_os(name).map(|value| value.to_str().unwrap().parse().unwrap())
}
