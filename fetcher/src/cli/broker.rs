//! What the runs of a command share: NATS, the connections to Toggl, and how long they last.

use std::time::Duration;

use anyhow::anyhow;
use async_nats::jetstream::Context;
use futures::join;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::Program;
use shared::shutdown::Shutdown;
use shared::stream;
use shared::telemetry::ORCHESTRATOR;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::failures::credentials_failure;
use super::{CommonArgs, summary};
use crate::credentials::Login;
use crate::promise::Promise;
use crate::publisher::{Newest, Publisher};
use crate::state::State;
use crate::toggl::{self, Client};
use crate::wait_until_loaded;

/// NATS as every account uses it, and the connections to Toggl.
pub(super) struct Broker {
    shutdown: Shutdown,
    context: Context,
    max_payload: usize,
    promise: Promise,
    pub(super) state: State,
    http: reqwest::Client,
}

/// What accounts of a command have published.
#[derive(Default)]
pub(super) struct Published {
    newest: Newest,
    run_ids: Vec<Uuid>,
}

impl Published {
    pub(super) fn of(publisher: &Publisher) -> Self {
        Self { newest: publisher.newest(), run_ids: vec![publisher.run_id()] }
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (resource, sequence) in other.newest {
            let newest = self.newest.entry(resource).or_default();
            *newest = sequence.max(*newest);
        }
        self.run_ids.extend(other.run_ids);
    }
}

pub(super) async fn start(common: &CommonArgs) -> Result<(Vec<Login>, Broker), Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let connecting = Box::pin(connect(common, shutdown.clone()));
    let connected = shutdown.soft.run_until_cancelled(connecting).await;
    connected.unwrap_or_else(|| Err(anyhow!("interrupted")).or_exit(Exit::Failed))
}

async fn connect(common: &CommonArgs, shutdown: Shutdown) -> Result<(Vec<Login>, Broker), Failure> {
    let server = common.nats.server().or_exit(Exit::Usage)?;
    let toggl = common.toggl.clone();
    // As long as that takes, NATS is waited for anyway.
    let http = tokio::task::spawn_blocking(move || toggl::http(&toggl));
    let logins = common.credentials.load().await.map_err(credentials_failure)?;
    let nats = server.connect(Program::Fetcher).await.or_exit(Exit::Unreachable)?;
    let max_payload = nats.server_info().max_payload;
    let context = server.jetstream(nats);
    let (stream, state) = join!(
        stream::ensure_stream(&context, &common.stream),
        State::open(&context, &common.stream)
    );
    stream.or_exit(Exit::Unreachable)?;
    let state = state.or_exit(Exit::Unreachable)?;
    let http = http.await.or_exit(Exit::Failed)?.or_exit(Exit::Failed)?;
    let promise = common.promise.clone().unwrap_or_default();
    Ok((logins, Broker { shutdown, context, max_payload, promise, state, http }))
}

impl Broker {
    pub(super) fn client(&self, common: &CommonArgs, login: &Login) -> Client {
        let token = login.credentials.api_token.clone();
        Client::over(self.http.clone(), &common.toggl, token)
    }

    pub(super) fn publisher(&self) -> Publisher {
        Publisher::new(self.context.clone(), self.max_payload).promising(self.promise.clone())
    }

    /// If that was asked for. Incomplete where loaders kept something as dead letters.
    pub(super) async fn until_stored(
        &self,
        common: &CommonArgs,
        Published { newest, run_ids }: Published,
    ) -> Result<Exit, Failure> {
        let Some(patience) = common.wait.filter(|wait| !wait.is_zero() && !newest.is_empty())
        else {
            return Ok(Exit::Done);
        };
        info!(target: ORCHESTRATOR, "Waiting until loaders have stored it");
        let storing = wait_until_loaded::until_stored(&self.context, newest, patience);
        self.run(storing).await?.or_exit(Exit::Failed)?;
        let client = self.context.client();
        let asking = wait_until_loaded::kept_as_dead_letters(&client, &run_ids, patience);
        let kept = self.run(asking).await?.or_exit(Exit::Failed)?;
        if kept.is_empty() {
            info!(target: ORCHESTRATOR, "Loaders have stored all of it");
            return Ok(Exit::Done);
        }
        summary::kept(&kept);
        Ok(Exit::Incomplete)
    }

    /// Until loaders have settled everything up to these messages.
    pub(super) async fn until_settled(
        &self,
        newest: Newest,
        patience: Duration,
    ) -> Result<(), Failure> {
        info!(target: ORCHESTRATOR, "Waiting until loaders have stored it");
        let storing = wait_until_loaded::until_stored(&self.context, newest, patience);
        storing.await.or_exit(Exit::Failed)
    }

    async fn run<T>(&self, run: impl Future<Output = T>) -> Result<T, Failure> {
        self.until_interrupted(run).await.ok_or_else(interrupted)
    }

    /// None where somebody ends the command before.
    pub(super) async fn until_interrupted<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        self.shutdown.soft.run_until_cancelled(run).await
    }

    /// Cancelled when somebody ends the command.
    pub(super) const fn ending(&self) -> &CancellationToken {
        &self.shutdown.soft
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.shutdown.requested()
    }
}

/// Somebody has ended the command.
pub(super) fn interrupted() -> Failure {
    let error = anyhow!("interrupted; what was published will be loaded, run again for the rest");
    Failure { exit: Exit::Failed, error }
}
