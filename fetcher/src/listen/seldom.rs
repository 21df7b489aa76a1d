//! Warnings that anybody on the network can cause: one a minute, with how many there were.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const BETWEEN: Duration = Duration::from_mins(1);

/// When it was said last, and how often it was not said since.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// How often it has happened since it was last said, this time included; none where it is too soon to say it
    /// again.
    pub(super) fn count(&self) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (said, unsaid) = &mut *known;
        *unsaid += 1;
        if said.is_some_and(|said| said.elapsed() < BETWEEN) {
            return None;
        }
        *said = Some(Instant::now());
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_a_minute_with_how_often_it_has_happened() {
        let seldom = Seldom::default();
        let counts: Vec<_> = (0..4).map(|_| seldom.count()).collect();
        assert_eq!(counts, [Some(1), None, None, None]);
        tokio::time::advance(BETWEEN).await;
        assert_eq!(seldom.count(), Some(4));
        assert_eq!(seldom.count(), None);
    }
}
