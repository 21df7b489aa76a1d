//! One sync: who am I, the masters in parallel, then the time entries.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use shared::catalogue;
use shared::exit::chain;
use shared::resource::{Paging, Resource};
use shared::retry::Disposition;
use shared::telemetry::{MASTERS, ORCHESTRATOR, TIME_ENTRIES};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::masters::{self, Fetched};
use crate::publisher::{PublishError, Publisher};
use crate::time_entries::{Window, Windows};
use crate::toggl::{self, Client};

/// What to sync.
#[derive(Debug, Clone, Copy)]
pub struct SyncOptions {
    /// Days of time entries, today included, in the time zone of the Toggl profile.
    pub days: u16,
    /// Workspace to read; none for the profile's default workspace.
    pub workspace_id: Option<i64>,
}

/// Whose data a token reads, from /me.
#[derive(Debug, Clone, Deserialize)]
pub struct Account {
    /// The user's id.
    pub id: i64,
    /// The workspace that is read if none is named.
    pub default_workspace_id: Option<i64>,
    /// IANA name of the profile's time zone.
    pub timezone: Option<String>,
}

/// What a sync did. Every record counted here has been acknowledged by JetStream.
#[derive(Debug, Clone, Default)]
pub struct SyncResult {
    /// The run in messages and in the ledger.
    pub run_id: Uuid,
    /// Time entries sent.
    pub time_entries_count: usize,
    /// Records sent per master, in the order of the catalogue; skipped ones are missing.
    pub masters_counts: Vec<(&'static str, usize)>,
    /// Resources that this account may not read, each with Toggl's reason.
    pub skipped: Vec<(&'static str, String)>,
    /// Records that could not be sent, each with its id, if it has one, and the reason.
    pub unsent: Vec<(&'static str, Option<i64>, String)>,
    /// Resources that failed and may work next time.
    pub failed: Vec<(&'static str, String)>,
    /// From the first request to the last acknowledgement.
    pub elapsed: Duration,
}

impl SyncResult {
    /// Whether everything that was asked for has been sent.
    pub fn is_complete(&self) -> bool {
        self.skipped.is_empty() && self.unsent.is_empty() && self.failed.is_empty()
    }
}

/// Why a sync ended early. What was sent before is stored, and harmless.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Toggl refuses the token, its quota is used up, or /me does not answer.
    #[error(transparent)]
    Toggl(#[from] toggl::Error),
    /// JetStream does not take the batches.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Neither the settings nor the profile name a workspace.
    #[error(
        "the Toggl profile has no default workspace; name one with --workspace (TOGGL_WORKSPACE_ID)"
    )]
    NoWorkspace,
    /// The calendar ends before the window does.
    #[error("cannot reckon the days of the time entries")]
    Calendar(#[from] jiff::Error),
}

/// Reads every resource of the catalogue and publishes it. Resources that are closed to the account
/// are skipped and named in the result; one that fails does not keep the others from being sent.
///
/// # Errors
/// See [`SyncError`]: trouble that no further request of this run could escape.
pub async fn sync_all(
    client: &Client,
    publisher: &Publisher,
    options: SyncOptions,
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    info!(
        target: ORCHESTRATOR,
        run_id = %publisher.run_id(),
        "Starting Toggl Track full sync ({} days)", options.days
    );
    let mut sync = Sync { client, publisher, result: SyncResult::default() };
    let account = sync.account().await?;
    let workspace_id =
        options.workspace_id.or(account.default_workspace_id).ok_or(SyncError::NoWorkspace)?;
    sync.masters(workspace_id).await?;
    for resource in catalogue::CATALOGUE.iter().filter(|r| r.paging == Paging::Windows) {
        sync.time_entries(resource, &account, options.days).await?;
    }
    let mut result = sync.result;
    result.run_id = publisher.run_id();
    result.elapsed = started.elapsed();
    info!(target: ORCHESTRATOR, "Finished in {:.2} s", result.elapsed.as_secs_f64());
    Ok(result)
}

struct Sync<'a> {
    client: &'a Client,
    publisher: &'a Publisher,
    result: SyncResult,
}

/// What became of one resource.
enum Outcome {
    Sent(usize),
    Skipped(String),
    Failed(String),
}

impl Sync<'_> {
    /// The account comes first: without it nothing else can be asked, and a refused token shows here.
    async fn account(&mut self) -> Result<Account, SyncError> {
        let Some(me) = catalogue::masters().find(|resource| resource.paging == Paging::Object)
        else {
            return Err(SyncError::NoWorkspace);
        };
        let fetched = masters::fetch(self.client, me, 0).await?;
        let [record] = fetched.listing.records.as_slice() else {
            return Err(unusable_account(&fetched).into());
        };
        let account = serde_json::from_slice(&record.data)
            .map_err(|source| toggl::Error::Body { path: me.path.to_owned(), source })?;
        let (outcome, unsent) = send(self.publisher, me, fetched).await?;
        self.note(me, outcome, unsent);
        Ok(account)
    }

    /// All other masters at once; the client paces their requests.
    async fn masters(&mut self, workspace_id: i64) -> Result<(), SyncError> {
        let (client, publisher) = (self.client, self.publisher);
        let others = catalogue::masters().filter(|r| r.by_default && r.paging != Paging::Object);
        let outcomes = join_all(others.map(|resource| async move {
            let fetched = masters::fetch(client, resource, workspace_id).await;
            (resource, settle(publisher, resource, fetched).await)
        }))
        .await;
        for (resource, outcome) in outcomes {
            let (outcome, unsent) = outcome?;
            self.note(resource, outcome, unsent);
        }
        Ok(())
    }

    async fn time_entries(
        &mut self,
        resource: &'static Resource,
        account: &Account,
        days: u16,
    ) -> Result<(), SyncError> {
        let window = Window::last_days(days, Timestamp::now(), &zone(account))?;
        let mut windows = Windows::new(self.client, resource, account.id, window);
        let mut sent = 0;
        loop {
            let fetched = match windows.next().await {
                Ok(Some(fetched)) => Ok(fetched),
                Ok(None) => break,
                Err(error) => Err(error),
            };
            let (outcome, unsent) = settle(self.publisher, resource, fetched).await?;
            self.result.unsent.extend(unsent);
            match outcome {
                Outcome::Sent(count) => sent += count,
                other => {
                    self.note(resource, other, Vec::new());
                    break;
                }
            }
        }
        self.result.time_entries_count += sent;
        info!(target: TIME_ENTRIES, "Sent {sent} {} of {days} days", resource.name);
        Ok(())
    }

    fn note(&mut self, resource: &'static Resource, outcome: Outcome, unsent: Vec<Unsent>) {
        self.result.unsent.extend(unsent);
        match outcome {
            Outcome::Sent(count) => {
                info!(target: MASTERS, "Sent {count} {}", resource.name);
                self.result.masters_counts.push((resource.name, count));
            }
            Outcome::Skipped(reason) => {
                warn!(target: ORCHESTRATOR, "Skipped {}: {reason}", resource.name);
                self.result.skipped.push((resource.name, reason));
            }
            Outcome::Failed(reason) => {
                error!(target: ORCHESTRATOR, "Could not read {}: {reason}", resource.name);
                self.result.failed.push((resource.name, reason));
            }
        }
    }
}

type Unsent = (&'static str, Option<i64>, String);

/// Publishes what was fetched, or decides what its error means for the run.
async fn settle(
    publisher: &Publisher,
    resource: &'static Resource,
    fetched: Result<Fetched, toggl::Error>,
) -> Result<(Outcome, Vec<Unsent>), SyncError> {
    match fetched {
        Ok(fetched) => Ok(send(publisher, resource, fetched).await?),
        Err(error) => match error.disposition() {
            Disposition::Stop => Err(error.into()),
            Disposition::Skip => Ok((Outcome::Skipped(chain(&error)), Vec::new())),
            Disposition::Retry(_) => Ok((Outcome::Failed(chain(&error)), Vec::new())),
        },
    }
}

async fn send(
    publisher: &Publisher,
    resource: &'static Resource,
    fetched: Fetched,
) -> Result<(Outcome, Vec<Unsent>), PublishError> {
    let mut unsent: Vec<Unsent> = fetched
        .unusable
        .into_iter()
        .map(|record| (resource.name, record.source_id, record.reason))
        .collect();
    let published = publisher.publish(fetched.listing).await?;
    let too_large = "it is larger than the NATS server's max_payload";
    unsent.extend(
        published.too_large.into_iter().map(|id| (resource.name, Some(id), too_large.to_owned())),
    );
    for (name, id, reason) in &unsent {
        let id = id.map_or_else(|| "without id".to_owned(), |id| id.to_string());
        warn!(target: ORCHESTRATOR, "Record {id} of {name} was not sent: {reason}");
    }
    Ok((Outcome::Sent(published.records), unsent))
}

/// /me is no object with an id: an answer from somebody else.
fn unusable_account(fetched: &Fetched) -> toggl::Error {
    let reason =
        fetched.unusable.first().map_or("it is empty", |unusable| unusable.reason.as_str());
    toggl::Error::Body {
        path: fetched.listing.resource.path.to_owned(),
        source: serde::de::Error::custom(reason),
    }
}

fn zone(account: &Account) -> TimeZone {
    let name = account.timezone.as_deref().unwrap_or("UTC");
    TimeZone::get(name).unwrap_or_else(|_| {
        warn!(target: ORCHESTRATOR, "Unknown time zone {name:?} in the Toggl profile, using UTC");
        TimeZone::UTC
    })
}
