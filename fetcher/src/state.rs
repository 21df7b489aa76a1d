//! What one run tells the next, in a JetStream key-value bucket: how far `since` was read, what each
//! listing looked like, how far a report or an interrupted sync came, what is left of the quotas, whose a
//! token is; and which runs are at work now.
//!
//! Losing the bucket loses nothing that was sent: reports and interrupted syncs start over, and the next
//! sync asks for all changes that Toggl still tells.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{
    EntryError, Operation, PutError, Store, UpdateError, UpdateErrorKind,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::fault_point;
use shared::retry::{Delays, persist};
pub use shared::stream::BUCKET;
use shared::stream::{EnsureStreamError, StreamArgs, ensure_bucket};
use shared::telemetry::ORCHESTRATOR;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::publisher::{PATIENCE, is_full};

mod account;
mod known;
mod lease;
mod limits;
mod membership;
mod profile;
mod readers;
mod report_cursor;
mod report_progress;
mod seen;
mod seen_starts;
mod sync_progress;
mod verify_progress;

pub(crate) use account::{Remembered, Since, TeamRead};
pub(crate) use known::Known;
pub(crate) use lease::{Lease, Work};
pub use lease::{LeaseError, Running};
pub(crate) use limits::{LastRun, Limits};
pub(crate) use membership::{Closed, Members, Membership};
pub(crate) use profile::Profile;
pub(crate) use readers::{Reader, Readers, Reading, readers_key};
pub(crate) use report_cursor::Cursor;
pub(crate) use report_progress::ReportProgress;
pub(crate) use seen::{Listings, Seen, listings_key};
pub(crate) use seen_starts::{Emptiness, SeenStarts};
pub(crate) use sync_progress::{SyncProgress, WindowProgress};
pub(crate) use verify_progress::VerifyProgress;

/// The bucket is out of reach.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It could not be made.
    #[error(transparent)]
    Create(#[from] EnsureStreamError),
    /// It could not be opened.
    #[error("could not open the NATS key-value bucket {BUCKET}")]
    Open(#[from] KeyValueError),
    /// It could not be read.
    #[error("could not read the NATS key-value bucket {BUCKET}")]
    Read(#[from] EntryError),
    /// It could not be written.
    #[error("could not write to the NATS key-value bucket {BUCKET}")]
    Write(#[from] PutError),
    /// It could not be cleared, or tried.
    #[error("could not write to the NATS key-value bucket {BUCKET}")]
    Forget(#[from] UpdateError),
    /// A bug.
    #[error("could not encode what the next run needs")]
    Encode(#[from] serde_json::Error),
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct State {
    store: Store,
    /// The leases that are held, or being given back.
    leases: TaskTracker,
}

impl State {
    /// Creates the bucket or brings its settings up to date.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn open(context: &Context, args: &StreamArgs) -> Result<Self, StateError> {
        ensure_bucket(context, args).await?;
        Self::of(context).await
    }

    /// The bucket as it is.
    pub(crate) async fn of(context: &Context) -> Result<Self, StateError> {
        let opening = persist(delays(), is_passing, || context.get_key_value(BUCKET));
        let store = opening.await?;
        Ok(Self { store, leases: TaskTracker::new() })
    }

    /// The value of a key; none too where it cannot be read, as after a change of its form.
    pub(crate) async fn load<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, StateError> {
        let reading = persist(delays(), is_passing, || self.store.get(key));
        Ok(reading.await?.and_then(|value| decoded(key, &value)))
    }

    pub(crate) async fn save<T: Serialize + Sync>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<(), StateError> {
        fault_point::reach(fault_point::BEFORE_CURSOR);
        let value = Bytes::from(serde_json::to_vec(value)?);
        persist(delays(), is_passing, || self.store.put(key, value.clone())).await?;
        Ok(())
    }

    /// Changes the value of a key, whoever else changes it meanwhile; `change` says whether that is worth writing
    /// down.
    pub(crate) async fn change<T>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut T) -> bool,
    ) -> Result<(), StateError>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        loop {
            let entry = persist(delays(), is_passing, || self.store.entry(key)).await?;
            let revision = entry.as_ref().map_or(0, |entry| entry.revision);
            let entry = entry.filter(|entry| entry.operation == Operation::Put);
            let stored = entry.and_then(|entry| decoded(key, &entry.value));
            let mut value: T = stored.unwrap_or_default();
            if !change(&mut value) {
                return Ok(());
            }
            let value = Bytes::from(serde_json::to_vec(&value)?);
            let update = || self.store.update(key, value.clone(), revision);
            match persist(delays(), |e| is_passing(e) && !has_moved(e), update).await {
                Ok(_) => return Ok(()),
                // Somebody was quicker, or an earlier attempt of ours.
                Err(error) if has_moved(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads and writes, without leaving a trace: what is said to come after the revision `never` is
    /// refused, by a server that would have taken it otherwise.
    pub(crate) async fn probe(&self, never: u64) -> Result<(), StateError> {
        const KEY: &str = "check";
        self.store.get(KEY).await?;
        match self.store.update(KEY, Bytes::new(), never).await {
            Err(error) if error.kind() != UpdateErrorKind::WrongLastRevision => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn forget(&self, key: &str) -> Result<(), StateError> {
        persist(delays(), is_passing, || self.store.purge(key)).await?;
        Ok(())
    }
}

fn decoded<T: DeserializeOwned>(key: &str, value: &[u8]) -> Option<T> {
    serde_json::from_slice(value)
        .inspect_err(|error| {
            warn!(target: ORCHESTRATOR, %error, "Cannot read {key} of {BUCKET}, starting over");
        })
        .ok()
}

/// Whether a key has another revision than was said.
fn has_moved(error: &UpdateError) -> bool {
    error.kind() == UpdateErrorKind::WrongLastRevision
}

/// As patient as with batches: what was sent is worth little if the run does not know.
fn delays() -> Delays {
    Delays::within(Duration::from_millis(200), Duration::from_secs(5), PATIENCE)
}

/// Everything but a full store may get better by itself.
fn is_passing(error: &impl Error) -> bool {
    !is_full(error)
}

/// Whether something of that time is still young enough to go on with.
pub(crate) fn is_within(at: Timestamp, now: Timestamp, age: Duration) -> bool {
    now.duration_since(at) <= SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX)
}
