//! How soon a lost connection is tried again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::retry::Delays;

/// None before the very first attempt, which the client would put off like any other.
pub(super) fn delays() -> impl Fn(usize) -> Duration + Send + Sync + 'static {
    let begun = AtomicBool::new(false);
    move |attempts| {
        if begun.swap(true, Ordering::Relaxed) { reconnect_delay(attempts) } else { Duration::ZERO }
    }
}

/// 50 ms doubling to 8 s, spread by half: the client adds no spread of its own, and loaders that
/// lost the same server should not return in step.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(8);
    let delay = Duration::from_millis(50 << doublings).min(Duration::from_secs(8));
    Delays::forever(delay, delay).next_delay().unwrap_or(delay)
}
