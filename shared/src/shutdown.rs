//! From SIGTERM and Ctrl-C to an orderly end.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long an orderly end may take before what is left is cut off: less than the ten seconds that
/// `docker stop` waits before SIGKILL.
pub const GRACE: Duration = Duration::from_secs(8);

/// Two steps: take no new work, then let go of what is in hand.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled at the first signal: finish what is in hand and start nothing new.
    pub soft: CancellationToken,
    /// Cancelled at the second signal or [`GRACE`] after the first: stop now.
    pub hard: CancellationToken,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// When the runtime cannot install signal handlers.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let seen = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            seen.soft.cancel();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tokio::time::sleep(GRACE) => {}
            }
            seen.hard.cancel();
        });
        Ok(shutdown)
    }

    /// Whether the first signal has come.
    pub fn requested(&self) -> bool {
        self.soft.is_cancelled()
    }
}
