//! When to try again, and how long to wait; the one file that names the `backoff` crate.

use std::error::Error;
use std::fmt::Display;
use std::time::{Duration, Instant};

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use tracing::{info, warn};

use crate::error_chain::chain;
use crate::telemetry::{NATS, START};

/// Between two lines about a server that is waited for, while it says the same.
const SAY: Duration = Duration::from_secs(15);

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

/// Repeats what failed in passing until it succeeds, fails for good, or the delays end; the last error
/// then.
///
/// # Errors
/// The last attempt's.
pub async fn persist<T, E: Display, F: Future<Output = Result<T, E>>>(
    mut delays: Delays,
    mut is_passing: impl FnMut(&E) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    loop {
        let error = match attempt().await {
            Err(error) if is_passing(&error) => error,
            result => return result,
        };
        let Some(delay) = delays.next_delay() else {
            return Err(error);
        };
        warn!(target: NATS, "{error}, again in {:.1} s", delay.as_secs_f64());
        tokio::time::sleep(delay).await;
    }
}

/// Waits for a server that is not there yet, until it is or the delays end. Says so every so often, and tells
/// `told` each time why.
///
/// # Errors
/// The last attempt's.
pub async fn wait_out<T, E: Error + 'static, F: Future<Output = Result<T, E>>>(
    server: &str,
    mut delays: Delays,
    may_pass: impl Fn(&E) -> bool,
    mut told: impl FnMut(&str),
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let started = Instant::now();
    let mut said: Option<(Instant, String)> = None;
    loop {
        let error = match attempt().await {
            Err(error) if may_pass(&error) => error,
            outcome => {
                if outcome.is_ok() && said.is_some() {
                    let waited = started.elapsed().as_secs_f64();
                    info!(target: START, "{server} is there, after {waited:.1} s");
                }
                return outcome;
            }
        };
        let Some(delay) = delays.next_delay() else { return Err(error) };
        let words = chain(&error);
        told(&words);
        if said.as_ref().is_none_or(|(at, before)| at.elapsed() >= SAY || *before != words) {
            let waited = started.elapsed().as_secs();
            warn!(target: START, "Waiting for {server} ({waited} s so far): {words}");
            said = Some((Instant::now(), words));
        }
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests;
