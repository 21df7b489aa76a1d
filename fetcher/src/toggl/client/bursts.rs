//! Waiting out the 429s of one question.

use std::time::Duration;

use shared::retry::Delays;
use shared::telemetry::API;
use tracing::warn;

use super::Client;
use crate::toggl::error::Error;

/// A 429 that names no wait starts with about two seconds, as other clients found sufficient.
const BURST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_BURST_PAUSE: Duration = Duration::from_secs(10);
/// How often in a row a request waits out a 429.
const MAX_BURSTS: u32 = 5;
/// The 429s that one question was answered with.
#[derive(Debug)]
pub(super) struct Bursts {
    count: u32,
    pauses: Delays,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { count: 0, pauses: Delays::forever(BURST_PAUSE, LONGEST_BURST_PAUSE) }
    }
}

impl Bursts {
    /// Holds up all requests of the client, for as long as was asked for or else ever longer.
    ///
    /// # Errors
    /// When it was asked for too long a wait, or too often.
    pub(super) fn wait(
        &mut self,
        client: &Client,
        path: &str,
        asked: Option<Duration>,
    ) -> Result<(), Error> {
        self.count += 1;
        // Whoever says "at once" and refuses again does not mean it.
        let pause = self.pauses.next_delay().unwrap_or(BURST_PAUSE);
        let wait = asked.filter(|asked| self.count == 1 || *asked > pause).unwrap_or(pause);
        if self.count > MAX_BURSTS || wait > client.longest_wait {
            return Err(Error::TooFast { path: path.to_owned(), wait });
        }
        warn!(target: API, "Too many requests, waiting {:.1} s", wait.as_secs_f64());
        client.pace.block(wait);
        Ok(())
    }
}
