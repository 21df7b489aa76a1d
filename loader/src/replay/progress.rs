//! How far a replay is: a bar on a terminal, a log line every so often elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use shared::telemetry::REPLAY;
use tracing::info;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Progress {
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
}

impl Progress {
    /// Of so many batches.
    pub(super) fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "Replaying [{bar:30}] {pos} of {len} batches, {per_sec}, about {eta} left";
            let bar = ProgressBar::new(total);
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| {
                // A template that cannot be read is a bug that costs no more than its look.
                ProgressStyle::default_bar()
            }));
            bar
        });
        let now = Instant::now();
        Self { total, done: 0, bar, started: now, shown: now }
    }

    /// One more is done.
    pub(super) fn advance(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
        } else if self.shown.elapsed() >= LINE_INTERVAL {
            self.shown = Instant::now();
            info!(target: REPLAY, "{}", line(self.done, self.total, self.started.elapsed()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `Replayed 1200 of 8000 batches (15 %), 140 a second, about 49s left`.
fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let left = milliseconds.saturating_mul(total.saturating_sub(done)) / done.max(1);
    let left = humantime::format_duration(Duration::from_secs(left.div_ceil(1_000)));
    let percent = done * 100 / total.max(1);
    let rate = done * 1_000 / milliseconds;
    format!("Replayed {done} of {total} batches ({percent} %), {rate} a second, about {left} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_fast_it_goes_and_how_long_it_takes() {
        assert_eq!(
            line(1_200, 8_000, Duration::from_secs(8)),
            "Replayed 1200 of 8000 batches (15 %), 150 a second, about 46s left"
        );
        assert_eq!(line(1, 0, Duration::ZERO).split(',').count(), 3);
    }
}
