//! One sync and one report of an account at a time: a lease in the bucket, which its holder keeps renewing.
//!
//! No two machines' clocks are compared: a renewal is a new revision of the key, and a lease is over
//! when whoever waits for it has seen the same revision for [`EXPIRY`]. Two runs at once, as when a
//! holder slept longer than that, are harmless; they ask Toggl for the same twice.

use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{Entry, Operation, Store, UpdateError};
use bytes::Bytes;
use jiff::Timestamp;
use shared::process;
use shared::retry::{Delays, persist};
use shared::telemetry::ORCHESTRATOR;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument as _, debug, info, warn};
use uuid::Uuid;

mod holder;

use self::holder::Holder;
pub use self::holder::Running;
pub(crate) use self::holder::Work;
use super::{State, StateError, delays, has_moved, is_passing};

/// How often a holder renews its lease.
const RENEWAL: Duration = Duration::from_secs(5);
/// A lease that nobody renews for this long is over: its holder crashed.
const EXPIRY: Duration = Duration::from_secs(30);
/// How often a waiting run looks: soon at first, for a run that has just ended gives its lease back behind its back. A
/// watch would tell at once, and needs a consumer, which the rights of a fetcher do not allow.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_secs(1);
/// How long the end of a process waits for its leases to be given back.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another run of the same account is at work.
    #[error(transparent)]
    Running(#[from] Running),
    /// The bucket is out of reach.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The right to be the only run of an account; dropping it gives it back, in the background.
#[derive(Debug)]
pub(crate) struct Lease {
    _held: DropGuard,
}

impl State {
    /// Waits until no other such run of the user is at work, no longer than `patience`. Even without any it
    /// takes some seconds to tell a run at work from one that crashed.
    pub(crate) async fn lease(
        &self,
        (work, user_id): (Work, i64),
        run_id: Uuid,
        patience: Duration,
    ) -> Result<Lease, LeaseError> {
        let holder = Holder {
            run_id,
            host: process::host_name(),
            pid: std::process::id(),
            started_at: Timestamp::now(),
        };
        let value = Bytes::from(serde_json::to_vec(&holder).map_err(StateError::from)?);
        let claim = Claim { store: self.store.clone(), key: work.key(user_id), value };
        let revision = claim.take((work, user_id), patience).await?;
        let ended = CancellationToken::new();
        self.leases.spawn(claim.keep(revision, ended.clone()).in_current_span());
        Ok(Lease { _held: ended.drop_guard() })
    }

    /// Waits until the leases of runs that have ended are given back, for two seconds at most: then
    /// they expire by themselves.
    pub async fn settle(&self) {
        self.leases.close();
        drop(tokio::time::timeout(FAREWELL, self.leases.wait()).await);
        self.leases.reopen();
    }
}

/// What a run writes to the bucket, and where.
struct Claim {
    store: Store,
    key: String,
    value: Bytes,
}

impl Claim {
    /// Answers the revision that is ours.
    async fn take(
        &self,
        (work, user_id): (Work, i64),
        patience: Duration,
    ) -> Result<u64, LeaseError> {
        let started = Instant::now();
        let mut watch: Option<Watch> = None;
        let mut looks = Delays::forever(FIRST_LOOK, LOOK);
        loop {
            let entry = persist(delays(), is_passing, || self.entry()).await?;
            let revision = entry.as_ref().map_or(0, |entry| entry.revision);
            if let Some(entry) = entry.filter(is_held) {
                // An earlier attempt succeeded, and its answer was lost.
                if entry.value == self.value {
                    return Ok(revision);
                }
                let holder = serde_json::from_slice::<Holder>(&entry.value).ok();
                let watch = watch.get_or_insert_with(|| Watch::begin(&entry, holder.as_ref()));
                watch.see(&entry);
                if !watch.is_over() {
                    if watch.renewed && started.elapsed() >= patience {
                        return Err(Running { work, user_id, holder, waited: patience }.into());
                    }
                    tokio::time::sleep(looks.next_delay().unwrap_or(LOOK)).await;
                    continue;
                }
                warn!(target: ORCHESTRATOR, "That run has crashed; going on without it");
            }
            let attempt = || self.update(revision);
            // Nobody answers while a cluster chooses a leader.
            match persist(delays(), |error| is_passing(error) && !has_moved(error), attempt).await {
                Ok(revision) => return Ok(revision),
                // Somebody else was quicker, or an earlier attempt of ours.
                Err(error) if has_moved(&error) => {}
                Err(error) => return Err(StateError::from(error).into()),
            }
        }
    }

    /// Renews the lease until the run has ended, and gives it back.
    async fn keep(self, mut revision: u64, ended: CancellationToken) {
        while ended.run_until_cancelled(tokio::time::sleep(RENEWAL)).await.is_some() {
            match self.renew(revision).await {
                Ok(Some(renewed)) => revision = renewed,
                Ok(None) => {
                    warn!(
                        target: ORCHESTRATOR,
                        "Another run of this account has begun, for this one was out of reach for \
                         long; both go on, which is harmless"
                    );
                    return;
                }
                Err(error) => {
                    debug!(target: ORCHESTRATOR, %error, "Could not renew the lease, trying again");
                }
            }
        }
        if let Err(error) = self.store.delete_expect_revision(&self.key, Some(revision)).await {
            debug!(target: ORCHESTRATOR, %error, "Could not give back the lease; it will expire");
        }
    }

    /// The new revision; none when the lease is another's.
    async fn renew(&self, revision: u64) -> Result<Option<u64>, StateError> {
        match self.update(revision).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if has_moved(&error) => {
                // Ours all the same if the answer to an earlier renewal was lost.
                match self.entry().await? {
                    Some(entry) if is_held(&entry) && entry.value != self.value => Ok(None),
                    entry => {
                        let revision = entry.map_or(0, |entry| entry.revision);
                        Ok(Some(self.update(revision).await?))
                    }
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the lease, if that revision is still the newest; answers the new one.
    async fn update(&self, revision: u64) -> Result<u64, UpdateError> {
        self.store.update(&self.key, self.value.clone(), revision).await
    }

    async fn entry(&self) -> Result<Option<Entry>, StateError> {
        Ok(self.store.entry(&self.key).await?)
    }
}

fn is_held(entry: &Entry) -> bool {
    entry.operation == Operation::Put
}

/// What a waiting run has seen of a lease.
struct Watch {
    revision: u64,
    since: Instant,
    /// Whether it was renewed meanwhile, so that somebody is at work.
    renewed: bool,
}

impl Watch {
    fn begin(entry: &Entry, holder: Option<&Holder>) -> Self {
        let holder = holder.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        info!(target: ORCHESTRATOR, "Another run of this account is there ({holder})");
        Self { revision: entry.revision, since: Instant::now(), renewed: false }
    }

    fn see(&mut self, entry: &Entry) {
        if entry.revision != self.revision {
            *self = Self { revision: entry.revision, since: Instant::now(), renewed: true };
        }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= EXPIRY
    }
}
