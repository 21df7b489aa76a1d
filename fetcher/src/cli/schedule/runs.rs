//! One run: a process of its own.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::anyhow;
use shared::exit::{Exit, chain};
use shared::process::{self, Program};
use shared::shutdown::Shutdown;
use shared::telemetry::SCHEDULE;
use tokio::process::{Child, Command};
use tracing::{error, info, warn};

use crate::promise::Promise;

/// Between two attempts to start a run.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) fn stopped() -> Exit {
    info!(target: SCHEDULE, "Stopped");
    Exit::Done
}

/// What runs are told by, unless somebody has.
const PROMISE: &str = "FETCHER_PROMISE";

/// Starts a process of its own, with what it may promise: whatever becomes of it, the schedule goes on. What keeps it
/// from being started passes, as an upgrade or a full process table: it is tried until it succeeds.
pub(super) async fn start(
    program: &Program,
    arguments: &[OsString],
    promise: Option<&Promise>,
) -> Child {
    let mut said = None;
    loop {
        let spawned = Command::new(program.path())
            .args(arguments)
            .envs(promise.map(|promise| (PROMISE, promise.to_string())))
            .stdin(Stdio::null())
            // Ctrl-C reaches it through us, once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let error = match spawned {
            Ok(run) => return run,
            Err(error) => error,
        };
        // Once, until it is something else.
        if said != Some(error.kind()) {
            let path = program.path().display();
            error!(target: SCHEDULE, "Could not start {path}: {error}; trying again until it starts");
            said = Some(error.kind());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Until it has ended; a signal to us is passed on, and after a while, or a second one, it is killed.
pub(super) async fn wait(mut run: Child, shutdown: &Shutdown) -> anyhow::Result<ExitStatus> {
    if let Some(ended) = shutdown.soft.run_until_cancelled(run.wait()).await {
        return Ok(ended?);
    }
    if let Some(Err(error)) = run.id().map(process::terminate) {
        warn!(target: SCHEDULE, "Could not end the run: {}", chain(&error));
    }
    if let Some(ended) = shutdown.hard.run_until_cancelled(run.wait()).await {
        return Ok(ended?);
    }
    run.kill().await?;
    Err(anyhow!("the run did not end in time and was killed; what it sent will be loaded"))
}
