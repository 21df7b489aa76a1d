//! `fetcher listen`: Toggl tells what has happened, and that is looked at.
//!
//! ```text
//!             server ─► receiver ─► bell ─► looks ─► orchestrator
//! Toggl ─────►          signature   each    one at a time, within
//!   ▲                               once    the quota's share
//!   └── keeper   missed   watchdog
//! ```
//!
//! An event is a reason to look, not data: of a delivery nothing is kept but what happened to what, its id and the
//! time. Polling stays the truth; what is not told here, a sync brings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use shared::telemetry::WEBHOOKS;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

mod bell;
mod doors;
mod keeper;
mod looks;
mod metrics;
mod missed;
mod notes;
mod pending;
mod public_url;
mod receiver;
mod seldom;
mod server;
mod share;
mod turn;
mod watchdog;

use self::bell::{Bell, Memory};
use self::doors::Doors;
use self::keeper::Keeper;
use self::looks::Looks;
use self::metrics::Metrics;
use self::notes::Notes;
pub(crate) use self::public_url::{PublicUrl, PublicUrlError};
use self::receiver::Receiver;
use self::share::Share;
use self::turn::Turned;
use self::watchdog::Watchdog;
use crate::account::Workspaces;
use crate::outcome::SyncError;
use crate::publisher::Publisher;
use crate::state::State;
use crate::toggl::{Client, Error, QuotaStates};

/// How long the end of the program waits for what it writes down last.
const FAREWELL: Duration = Duration::from_secs(3);

/// How to listen.
#[derive(Debug, Clone)]
pub(crate) struct ListenOptions {
    pub(crate) public_url: PublicUrl,
    pub(crate) workspaces: Workspaces,
    /// Those of them that there are.
    pub(crate) workspace_ids: Vec<i64>,
    /// How long another run of the account is waited for.
    pub(crate) patience: Duration,
    /// Between two looks at least.
    pub(crate) gap: Duration,
    /// Of a hundred requests of an hour, how many looks may take.
    pub(crate) percent: u8,
    /// Between two looks at the subscriptions.
    pub(crate) check_every: Duration,
    /// The same at what runs have seen.
    pub(crate) watch_every: Duration,
}

/// Whoever listens for one account.
pub(crate) struct Listening<'a> {
    pub(crate) client: &'a Client,
    pub(crate) state: &'a State,
    pub(crate) token: &'a SecretString,
    pub(crate) user_id: i64,
    /// A client and a publisher for each look.
    pub(crate) run: &'a (dyn Fn() -> (Client, Publisher) + Sync),
    pub(crate) options: ListenOptions,
}

/// The address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}; choose another address by --address")]
pub(crate) struct BindError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// Where deliveries come in.
///
/// # Errors
/// When somebody else has it.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

impl Listening<'_> {
    /// Removes the account's subscriptions for this address.
    ///
    /// # Errors
    /// When Toggl refuses any.
    pub(crate) async fn unsubscribe(&self) -> Result<(), Error> {
        self.keeper(Arc::new(self.doors()), Metrics::new()).remove().await
    }

    /// Listens until it is told to end; what was not looked at by then, the next one does.
    ///
    /// # Errors
    /// When Toggl refuses the token, or the bucket cannot be read.
    pub(crate) async fn run(
        &self,
        listener: TcpListener,
        ending: &CancellationToken,
    ) -> Result<(), SyncError> {
        let memory: Option<Memory> = self.state.load(&Memory::key(self.user_id)).await?;
        let (doors, metrics) = (Arc::new(self.doors()), Metrics::new());
        let bell = Bell::new(self.user_id, metrics.clone(), memory.unwrap_or_default());
        let notes = Notes::new(self.state, self.user_id, &bell);
        let rings = (bell.clone(), notes.clone());
        let receiver = Receiver::new(Arc::clone(&doors), rings, metrics.clone());
        if let Ok(address) = listener.local_addr() {
            info!(target: WEBHOOKS, "Listening at http://{address}/; metrics at http://{address}/metrics");
        }
        // Toggl calls while a subscription is being made.
        let serving = server::serve(listener, receiver.router());
        let mut looks = self.looks((&bell, &notes), &metrics);
        let watchdog = self.watchdog(&bell, &metrics);
        let ended = tokio::select! {
            () = ending.cancelled() => Ok(()),
            () = serving => Ok(()),
            error = self.tend(Arc::clone(&doors), &metrics, &bell) => Err(error.into()),
            error = looks.run() => Err(error),
            () = watchdog.run() => Ok(()),
        };
        // NATS may be why it ends.
        drop(tokio::time::timeout(FAREWELL, notes.write()).await);
        ended
    }

    /// Keeps the subscriptions; once each was looked at, what was missed is rung for.
    async fn tend(&self, doors: Arc<Doors>, metrics: &Metrics, bell: &Bell) -> Error {
        let (tended, begins) = tokio::sync::oneshot::channel();
        let keeper = self.keeper(Arc::clone(&doors), metrics.clone());
        let keeping = keeper.run(|| {
            // Nobody waits for it where Toggl has refused the token.
            tended.send(()).ok();
        });
        let missing = async {
            if begins.await.is_err() {
                return std::future::pending().await;
            }
            // Own changes of the time before are told by one request.
            bell.ring_for_own();
            match missed::catch_up(self.client, &doors, bell).await {
                Err(error) => error,
                Ok(()) => std::future::pending().await,
            }
        };
        tokio::select! {
            error = keeping => error,
            error = missing => error,
        }
    }

    fn doors(&self) -> Doors {
        let ListenOptions { public_url, workspace_ids, .. } = &self.options;
        Doors::new(self.token, public_url, workspace_ids)
    }

    fn keeper(&self, doors: Arc<Doors>, metrics: Metrics) -> Keeper<'_> {
        Keeper { client: self.client, doors, metrics, every: self.options.check_every }
    }

    fn looks(&self, (bell, notes): (&Bell, &Notes), metrics: &Metrics) -> Looks<'_> {
        let ListenOptions { workspaces, patience, gap, percent, .. } = &self.options;
        Looks {
            client: self.client,
            run: self.run,
            quotas: QuotaStates::new(),
            state: self.state,
            workspaces: workspaces.clone(),
            patience: *patience,
            bell: bell.clone(),
            notes: notes.clone(),
            metrics: metrics.clone(),
            share: Share::new(*gap, *percent),
            turns: BTreeMap::new(),
            gone_turn: Turned::default(),
        }
    }

    fn watchdog(&self, bell: &Bell, metrics: &Metrics) -> Watchdog<'_> {
        Watchdog {
            client: self.client,
            state: self.state,
            user_id: self.user_id,
            bell: bell.clone(),
            metrics: metrics.clone(),
            every: self.options.watch_every,
        }
    }
}
