//! Before there is anything to load from or into. A resident loader waits for its servers, however long they
//! take, and says so to whoever asks; a command waits only for a database that wakes up.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::{Program, Server};
use shared::retry::{Delays, wait_out};
use shared::shutdown::Shutdown;
use shared::stream::{self, StreamArgs};
use shared::telemetry::START;
use sqlx::PgConnection;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::http;
use crate::http::starting::{self, Waiting};
use crate::postgres::database::{ConnectError, Database, FEW_SESSIONS};
use crate::status::pipeline::Pipeline;

const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A signal came before everything was there.
#[derive(Debug, thiserror::Error)]
#[error("interrupted while waiting for a server")]
struct Interrupted;

/// How a program starts.
pub(crate) struct Start<'a> {
    is_resident: bool,
    shutdown: &'a Shutdown,
    waiting: Waiting,
    /// Ended by being dropped, when others answer.
    served: JoinSet<()>,
}

impl<'a> Start<'a> {
    /// Of a command, which ends where something is not there.
    pub(crate) fn of_command(shutdown: &'a Shutdown) -> Self {
        Self { is_resident: false, shutdown, waiting: Waiting::default(), served: JoinSet::new() }
    }

    /// Of a loader that stays.
    pub(crate) fn of_loader(
        shutdown: &'a Shutdown,
        listener: Option<&Arc<TcpListener>>,
        pipeline: &Pipeline,
    ) -> Self {
        let mut start = Self { is_resident: true, ..Self::of_command(shutdown) };
        if let Some(listener) = listener {
            starting::announce(listener);
            let router = starting::router(start.waiting.clone(), pipeline.clone());
            start.served.spawn(http::serve(Arc::clone(listener), router));
        }
        start
    }

    /// None if a loader was told to stop meanwhile.
    pub(crate) async fn postgres(
        &self,
        database: &Database,
    ) -> Result<Option<PgConnection>, Failure> {
        if let Some(idle) = database.idle() {
            info!(target: START, "Of the way to Postgres, {idle}");
        }
        let connected = async {
            if self.is_resident {
                let attempt = || database.connect();
                self.wait("Postgres", ConnectError::may_pass, attempt).await
            } else {
                database.connect_awake().await
            }
        };
        let connected = self.until_stopped(connected).await?;
        if database.has_few_sessions() && self.is_resident {
            warn!(target: START, "Not all writers can work at once: {FEW_SESSIONS}");
        }
        Ok(connected)
    }

    /// The same of NATS.
    pub(crate) async fn nats(&self, server: &Server<'_>) -> Result<Option<Client>, Failure> {
        let attempt = || Box::pin(server.connect(Program::Loader));
        let connected = async {
            if self.is_resident {
                self.wait("NATS", shared::nats::ConnectError::may_pass, attempt).await
            } else {
                attempt().await
            }
        };
        self.until_stopped(connected).await
    }

    /// Makes the stream, or brings its settings up to date.
    pub(crate) async fn stream(
        &self,
        context: &Context,
        args: &StreamArgs,
    ) -> Result<Option<()>, Failure> {
        self.until_stopped(stream::ensure_stream(context, args)).await
    }

    async fn wait<T, E: std::error::Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        server: &str,
        may_pass: impl Fn(&E) -> bool,
        attempt: impl FnMut() -> F,
    ) -> Result<T, E> {
        let delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        let there = wait_out(server, delays, may_pass, |words| self.waiting.tell(words), attempt);
        let there = there.await;
        self.waiting.done();
        there
    }

    async fn until_stopped<T, E: Into<anyhow::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, Failure> {
        match self.shutdown.soft.run_until_cancelled(work).await {
            Some(done) => done.map(Some).or_exit(Exit::Unreachable),
            None if self.is_resident => {
                info!(target: START, "Stopped before everything was there");
                Ok(None)
            }
            None => Err(Interrupted).or_exit(Exit::Failed),
        }
    }
}
