//! What a person sees of something long: a bar on a terminal, a log line every so often elsewhere.

use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use shared::telemetry::{API, REPORT};
use tracing::info;

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two lines of a countdown, which says the same every time.
const COUNTDOWN_INTERVAL: Duration = Duration::from_mins(1);

/// Those of several accounts stand one below the other.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// How far a report is. The number of its entries is not known before its end, so the part of its
/// days that has been read stands for the part of the work.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
    /// The part that was done before this run, of 1.
    before: f64,
}

impl Progress {
    /// `before` is the part that an earlier run has done.
    pub(crate) fn new(what: String, before: f64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{msg} [{bar:30}] {percent} % {elapsed} gone, about {eta} left";
            let bar = BARS.add(ProgressBar::new(1_000));
            bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| {
                // A template that cannot be read is a bug that costs no more than its look.
                ProgressStyle::default_bar()
            }));
            bar.set_message(what.clone());
            bar.set_position(thousandths(before));
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { what, bar, started: now, shown: now, before }
    }

    /// `part` of 1 is done, and so many records have been sent.
    pub(crate) fn reached(&mut self, part: f64, records: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(thousandths(part));
            bar.set_message(format!("{}: {records} entries", self.what));
        } else if self.shown.elapsed() >= LINE_INTERVAL {
            self.shown = Instant::now();
            let left = self.estimate(part).map_or_else(String::new, |left| {
                format!(", about {} left", humantime::format_duration(left))
            });
            let percent = thousandths(part) / 10;
            info!(target: REPORT, "{}: {records} entries, {percent} %{left}", self.what);
        }
    }

    /// At the pace so far; none before there is one.
    fn estimate(&self, part: f64) -> Option<Duration> {
        let done = part - self.before;
        (done > 0.001).then(|| {
            let seconds = self.started.elapsed().as_secs_f64() * (1.0 - part).max(0.0) / done;
            Duration::from_secs_f64(seconds.clamp(0.0, 1e7).round())
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 1000 by the clamp"
)]
fn thousandths(part: f64) -> u64 {
    (part.clamp(0.0, 1.0) * 1_000.0) as u64
}

/// A wait that a person sees pass.
#[derive(Debug)]
pub(crate) struct Countdown {
    what: &'static str,
}

impl Countdown {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what }
    }

    /// Waits.
    pub(crate) async fn run(&self, wait: Duration) {
        let end = tokio::time::Instant::now() + wait;
        let bar = std::io::stderr().is_terminal().then(|| BARS.add(ProgressBar::new_spinner()));
        let step = if bar.is_some() { Duration::from_secs(1) } else { COUNTDOWN_INTERVAL };
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                break;
            }
            let words = humantime::format_duration(Duration::from_secs(left.as_secs()));
            if let Some(bar) = &bar {
                bar.set_message(format!("{} {words}", self.what));
            } else {
                info!(target: API, "{} {words}", self.what);
            }
            tokio::time::sleep(left.min(step)).await;
        }
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
}
