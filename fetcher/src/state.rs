//! What one run tells the next, in a JetStream key-value bucket: how far `since` was read, how far a
//! report or an interrupted sync came, what is left of the quotas; and which runs are at work now.
//!
//! Losing the bucket loses nothing that was sent: reports and interrupted syncs start over. Only changes of
//! entries outside the days of the next sync are not asked for then; `--since-days 85` does that.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::KeyValueError;
use async_nats::jetstream::kv::{EntryError, PutError, Store, UpdateError, UpdateErrorKind};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::fault_point;
use shared::resource::Resource;
use shared::retry::{Delays, persist};
pub use shared::stream::BUCKET;
use shared::stream::{EnsureStreamError, StreamArgs, ensure_bucket};
use shared::telemetry::ORCHESTRATOR;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::publisher::{PATIENCE, is_full};
use crate::report::Cursor;
use crate::time_entries::Window;
use crate::toggl::{Bucket, Standing};

mod lease;

pub(crate) use lease::Lease;
pub use lease::{LeaseError, Running};

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
        let Some(value) = reading.await? else {
            return Ok(None);
        };
        Ok(serde_json::from_slice(&value)
            .inspect_err(|error| {
                warn!(target: ORCHESTRATOR, %error, "Cannot read {key} of {BUCKET}, starting over");
            })
            .ok())
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

/// As patient as with batches: what was sent is worth little if the run does not know.
fn delays() -> Delays {
    Delays::within(Duration::from_millis(200), Duration::from_secs(5), PATIENCE)
}

/// Everything but a full store may get better by itself.
fn is_passing(error: &impl Error) -> bool {
    !is_full(error)
}

/// Up to when the changes of a user's entries have been read. Key `since.<user>`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Since {
    /// Just before the last complete request was sent.
    pub(crate) fetched_at: Timestamp,
}

impl Since {
    pub(crate) fn key(user_id: i64) -> String {
        format!("since.{user_id}")
    }
}

/// What a user's runs have learned of limits. Key `limits.<user>`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) standings: Vec<(Bucket, Standing)>,
    /// Requests of an hour, from /me/quota.
    pub(crate) totals: Vec<(Bucket, i64)>,
    /// Paths refused with 402 for no known reason, with the first time.
    pub(crate) doubts: BTreeMap<String, Timestamp>,
    /// Requests of the last complete sync, and which sync that was.
    pub(crate) cost: Option<(String, Vec<(Bucket, u32)>)>,
}

impl Limits {
    pub(crate) fn key(user_id: i64) -> String {
        format!("limits.{user_id}")
    }
}

/// How far a sync came that was stopped by a quota. Key `sync.<user>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SyncProgress {
    /// What was to be synced; another sync starts over.
    pub(crate) signature: String,
    pub(crate) started_at: Timestamp,
    /// Today, when it started: its windows reach back from there.
    pub(crate) today: Date,
    /// Listings that were sent whole: resource, workspace, records.
    pub(crate) done: Vec<(String, i64, usize)>,
    /// Listings that broke off.
    pub(crate) broken: Vec<BrokenListing>,
    /// Windows of time entries that have not been read; none before the first was.
    pub(crate) windows: Option<Vec<Window>>,
    /// Time entries sent of the windows that were read.
    pub(crate) entries: usize,
    /// When the changes were asked for, if Toggl cut its answer off and windows are read instead.
    pub(crate) changes_at: Option<Timestamp>,
    /// Whether it was read from the bucket.
    #[serde(skip_serializing, default = "yes")]
    pub(crate) was_saved: bool,
}

const fn yes() -> bool {
    true
}

impl SyncProgress {
    pub(crate) fn key(user_id: i64) -> String {
        format!("sync.{user_id}")
    }

    /// How many records of a listing were sent, if it was sent whole.
    pub(crate) fn done(&self, resource: &Resource, workspace_id: i64) -> Option<usize> {
        let is =
            |(name, id, _): &&(String, i64, usize)| name == resource.name && *id == workspace_id;
        self.done.iter().find(is).map(|(.., records)| *records)
    }

    /// Where a listing broke off; its beginning if it did not.
    pub(crate) fn broken_at(&self, resource: &Resource, workspace_id: i64) -> BrokenListing {
        let broken = self.broken.iter().find(|broken| broken.is(resource, workspace_id));
        broken.cloned().unwrap_or_else(|| BrokenListing {
            resource: resource.name.to_owned(),
            workspace_id,
            next_page: 1,
            records: 0,
        })
    }

    /// A listing was sent whole.
    pub(crate) fn finish(&mut self, resource: &Resource, workspace_id: i64, records: usize) {
        self.broken.retain(|broken| !broken.is(resource, workspace_id));
        self.done.push((resource.name.to_owned(), workspace_id, records));
    }

    /// A listing broke off before that page, after so many more records.
    pub(crate) fn interrupt(
        &mut self,
        resource: &Resource,
        workspace_id: i64,
        next_page: usize,
        records: usize,
    ) {
        let before = self.broken_at(resource, workspace_id);
        self.broken.retain(|broken| !broken.is(resource, workspace_id));
        self.broken.push(BrokenListing { next_page, records: before.records + records, ..before });
    }
}

/// A listing that a quota interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokenListing {
    resource: String,
    workspace_id: i64,
    /// Page to go on with.
    pub(crate) next_page: usize,
    /// Records of the pages before, which were sent.
    pub(crate) records: usize,
}

impl BrokenListing {
    fn is(&self, resource: &Resource, workspace_id: i64) -> bool {
        self.resource == resource.name && self.workspace_id == workspace_id
    }
}

/// How far a report came. Key `report.<user>.<workspace>.<scope>.<from>.<to>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportProgress {
    /// Last day of the report; "today" of the run that began it.
    pub(crate) to: Date,
    /// First day of the span that is being read.
    pub(crate) span_from: Date,
    /// Page to go on with; none for the first.
    pub(crate) cursor: Option<Cursor>,
    /// Starts of the span that have been claimed.
    pub(crate) claimed_until: Option<Timestamp>,
    /// Entries sent so far.
    pub(crate) records: usize,
    /// Whether something in it broke off, so that it is not complete.
    pub(crate) gaps: bool,
}
