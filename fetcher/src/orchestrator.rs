//! One sync: who am I, the masters in parallel, then the time entries, then what has changed besides.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures::try_join;
use jiff::Timestamp;
use shared::catalogue;
use shared::listing::Listing;
use shared::resource::{Paging, Resource};
use shared::telemetry::ORCHESTRATOR;
use tracing::{error, info, warn};

use crate::account::{Account, Workspace, Workspaces};
use crate::masters;
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::selection::Selection;
use crate::state::{Lease, Limits, Since, State, SyncProgress};
use crate::toggl::{self, Client};

mod cost;
mod entries;
mod history;
mod lists;

pub use history::{ReportOptions, ReportResult, report_all};

/// An interrupted sync is gone on with for this long; then its beginning is too old.
const RESUMABLE_HOURS: i64 = 24;

/// What to sync.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Days of time entries, today included, in the time zone of the Toggl profile. What is older
    /// than Toggl's three months comes from reports.
    pub days: u32,
    /// Workspaces to read.
    pub workspaces: Workspaces,
    /// Resources to read.
    pub selection: Selection,
    /// Days of changes to ask for; none for those since the last sync.
    pub since_days: Option<u32>,
    /// Workspaces whose lists another account has read already.
    pub read_already: HashSet<i64>,
    /// Lists claim nothing: an account that may see more was to be read before, and failed.
    pub is_second_choice: bool,
    /// How long another run of the same account is waited for.
    pub patience: Duration,
}

impl Default for SyncOptions {
    /// The last three days and every master of the default workspace.
    fn default() -> Self {
        Self {
            days: 3,
            workspaces: Workspaces::default(),
            selection: Selection::default(),
            since_days: None,
            read_already: HashSet::new(),
            is_second_choice: false,
            patience: Duration::from_mins(5),
        }
    }
}

/// Reads the chosen resources and publishes them. Resources that are closed to the account are skipped
/// and named in the result; one that fails does not keep the others from being sent. A sync that a
/// quota interrupted goes on where it was, for a day.
///
/// # Errors
/// See [`SyncError`]: trouble that no further request of this run could escape.
pub async fn sync_all(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    options: &SyncOptions,
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    info!(target: ORCHESTRATOR, "Starting Toggl Track full sync ({} days)", options.days);
    let session = Session::open(client, publisher, state, options.patience).await?;
    let mut sync = Sync::new(session, options).await?;
    let workspace_ids = sync.workspace_ids().await?;
    sync.announce_cost(&workspace_ids).await?;
    sync.masters(&workspace_ids).await?;
    sync.time_entries(&workspace_ids).await?;
    sync.finish(workspace_ids, started).await
}

/// A client, and whose data it reads.
struct Session<'a> {
    client: &'a Client,
    publisher: &'a Publisher,
    state: &'a State,
    account: Account,
    /// The answer of /me, until it is sent.
    me: Option<Listing>,
    /// What is known of limits, as it stands in the bucket.
    limits: Limits,
    /// Held until the run has ended, and written down what the next one needs.
    _lease: Lease,
}

impl<'a> Session<'a> {
    /// The account comes first: without it nothing else can be asked, and a refused token shows here.
    async fn open(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        patience: Duration,
    ) -> Result<Self, SyncError> {
        let Some(me) = catalogue::masters().find(|resource| resource.paging == Paging::Object)
        else {
            return Err(SyncError::NoWorkspace);
        };
        let fetched = masters::fetch(client, me, 0, 1).await.map_err(|broken| broken.error)?;
        let account: Option<Account> = masters::decode(client, &fetched)?.pop();
        let account = account.ok_or_else(|| unusable_account(client, &fetched))?;
        let lease = state.lease(account.id, publisher.run_id(), patience).await?;
        let limits: Limits = state.load(&Limits::key(account.id)).await?.unwrap_or_default();
        client.remember(&limits.standings.iter().copied().collect(), &limits.doubts);
        let me = Some(fetched);
        Ok(Self { client, publisher, state, account, me, limits, _lease: lease })
    }

    /// The workspaces of the token's owner, and the listing that they stand in.
    async fn workspaces(&self) -> Result<(Vec<Workspace>, Listing), toggl::Error> {
        let resource = workspaces_resource();
        let fetched = masters::fetch(self.client, resource, 0, 1).await.map_err(|b| b.error)?;
        Ok((masters::decode(self.client, &fetched)?, fetched))
    }

    /// The workspaces to read, where that needs no list of them.
    fn named_workspaces(&self, wanted: &Workspaces) -> Result<Option<Vec<i64>>, SyncError> {
        match wanted {
            Workspaces::All => Ok(None),
            Workspaces::Ids(ids) => Ok(Some(ids.clone())),
            Workspaces::Default => {
                let id = self.account.default_workspace_id.ok_or(SyncError::NoWorkspace)?;
                Ok(Some(vec![id]))
            }
        }
    }
}

/// The catalogue's row of workspaces: account-level, and asked by a path of its own.
#[expect(clippy::expect_used, reason = "a test of the catalogue holds it to have the row")]
fn workspaces_resource() -> &'static Resource {
    catalogue::find("workspaces").expect("the catalogue has workspaces")
}

struct Sync<'a> {
    session: Session<'a>,
    options: &'a SyncOptions,
    progress: SyncProgress,
    /// Up to when an earlier sync has read the changes.
    last_since: Option<Since>,
    /// The listing of workspaces, where it was needed before its turn.
    workspaces: Option<Listing>,
    counts: Vec<(&'static Resource, usize)>,
    result: SyncResult,
    /// The first quota that ran out.
    quota: Option<toggl::Error>,
}

impl<'a> Sync<'a> {
    /// Starts, or goes on with what was interrupted.
    async fn new(session: Session<'a>, options: &'a SyncOptions) -> Result<Self, SyncError> {
        let now = Timestamp::now();
        let signature = signature(options);
        let (state, user_id) = (session.state, session.account.id);
        let (progress, since) = (SyncProgress::key(user_id), Since::key(user_id));
        let (saved, last_since): (Option<SyncProgress>, _) =
            try_join!(state.load(&progress), state.load(&since))?;
        let saved = saved.filter(|saved| {
            saved.signature == signature
                && now.duration_since(saved.started_at).as_hours() < RESUMABLE_HOURS
        });
        let progress = saved.inspect(|saved| {
            info!(
                target: ORCHESTRATOR,
                "Going on with the sync of {} that a quota interrupted; {} listings are done",
                saved.started_at.strftime("%H:%M UTC"),
                saved.done.len()
            );
        });
        let today = now.to_zoned(session.account.zone()).date();
        let progress = progress.unwrap_or_else(|| SyncProgress {
            signature,
            started_at: now,
            today,
            ..SyncProgress::default()
        });
        let (counts, result) = (Vec::new(), SyncResult::default());
        let (workspaces, quota) = (None, None);
        Ok(Self { session, options, progress, last_since, workspaces, counts, result, quota })
    }

    async fn workspace_ids(&mut self) -> Result<Vec<i64>, SyncError> {
        if let Some(ids) = self.session.named_workspaces(&self.options.workspaces)? {
            return Ok(ids);
        }
        let (workspaces, listing) = self.session.workspaces().await?;
        self.workspaces = Some(listing);
        let ids: Vec<_> = workspaces.iter().map(|workspace| workspace.id).collect();
        if ids.is_empty() { Err(SyncError::NoWorkspace) } else { Ok(ids) }
    }

    fn skip(&mut self, resource: &'static Resource, reason: String) {
        warn!(target: ORCHESTRATOR, "Skipped {}: {reason}", resource.name);
        self.result.skipped.push((resource.name, reason));
    }

    fn fail(&mut self, resource: &'static Resource, reason: String) {
        error!(target: ORCHESTRATOR, "Could not read {}: {reason}", resource.name);
        self.result.failed.push((resource.name, reason));
    }

    fn out_of_quota(&mut self, error: toggl::Error) {
        self.quota.get_or_insert(error);
    }

    /// Writes down what the next run needs.
    async fn finish(
        mut self,
        workspace_ids: Vec<i64>,
        started: Instant,
    ) -> Result<SyncResult, SyncError> {
        self.save_limits().await?;
        let key = SyncProgress::key(self.session.account.id);
        if let Some(error) = self.quota {
            self.session.state.save(&key, &self.progress).await?;
            let listings = self.progress.done.len();
            return Err(SyncError::Quota { error, sent: format!("{listings} listings are sent") });
        }
        if self.progress.was_saved {
            self.session.state.forget(&key).await?;
        }
        self.result.run_id = self.session.publisher.run_id();
        self.result.workspace_ids = workspace_ids;
        self.result.elapsed = started.elapsed();
        info!(target: ORCHESTRATOR, "Finished in {:.2} s", self.result.elapsed.as_secs_f64());
        Ok(self.result)
    }
}

/// What tells one sync from another.
fn signature(options: &SyncOptions) -> String {
    let SyncOptions { days, workspaces, selection, since_days, .. } = options;
    format!("days {days}, since {since_days:?}, {workspaces:?}, {}", selection.names())
}

/// /me is no object with an id: an answer from somebody else.
fn unusable_account(client: &Client, fetched: &Listing) -> toggl::Error {
    let reason = fetched.rejected.first().map_or("it is empty", |first| first.reason.as_str());
    toggl::Error::Body { path: fetched.resource.path.to_owned(), reason: client.words(reason) }
}
