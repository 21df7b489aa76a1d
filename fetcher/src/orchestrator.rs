//! One sync: who am I, in which workspaces, their lists in parallel, then the time entries, then what has
//! changed besides, then everybody's entries where that was asked for.

use std::time::{Duration, Instant};

use futures::try_join;
use jiff::civil::Date;
use shared::catalogue;
use shared::resource::{Resource, Scope};
use shared::telemetry::ORCHESTRATOR;
use tracing::{error, info, warn};

use crate::account::{Workspace, Workspaces};
use crate::masters::Fetched;
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::selection::Selection;
use crate::state::{Membership, Remembered, Since, State, SyncProgress, Work};
use crate::time_entries::FLOOR_DAYS;
use crate::toggl::{self, Client};

mod cost;
mod entries;
mod history;
mod lists;
mod membership;
mod older_entries;
mod people;
mod session;
mod shared_lists;
mod team;

use session::Session;

pub use history::{ReportDays, ReportOptions, ReportResult, report_all};

/// What an interrupted sync has read is not read again for this long.
pub(crate) const RESUME_WITHIN: Duration = Duration::from_hours(1);

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
    /// Days of everybody's entries to read by report, where the token may; none for the owner's alone.
    pub team_days: Option<u32>,
    /// Everybody's entries are read again after this long.
    pub team_every: Duration,
    /// What an interrupted sync has read is not read again for this long.
    pub resume_within: Duration,
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
            team_days: None,
            team_every: Duration::from_hours(24),
            resume_within: RESUME_WITHIN,
            patience: Duration::from_mins(5),
        }
    }
}

/// Reads the chosen resources and publishes them. Resources that are closed to the account are skipped
/// and named in the result; one that fails does not keep the others from being sent. A sync that a
/// quota interrupted goes on where it was, for an hour unless the options say otherwise.
///
/// # Errors
/// See [`SyncError`]: trouble that no further request of this run could escape. A result is no error even
/// where something is missing: [`SyncResult::is_complete`] tells.
pub async fn sync_all(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    options: &SyncOptions,
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    info!(target: ORCHESTRATOR, "Starting Toggl Track {}", beginning(options));
    let session = Session::open(client, publisher, state, (Work::Sync, options.patience)).await?;
    let mut sync = Sync::new(session, options).await?;
    let workspace_ids = sync.workspace_ids().await?;
    sync.announce_cost(&workspace_ids).await?;
    sync.masters(&workspace_ids).await?;
    sync.time_entries(&workspace_ids).await?;
    sync.team(&workspace_ids).await?;
    sync.finish(workspace_ids, started).await
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
    today: Date,
    /// Up to when an earlier sync has read the changes.
    last_since: Option<Since>,
    /// The workspaces of the token's owner, where they were asked for.
    workspaces: Vec<Workspace>,
    /// The listing of them, until it is sent.
    workspace_listing: Option<Fetched>,
    /// Which workspaces are the account's, and which are closed to it.
    membership: Membership,
    counts: Vec<(&'static Resource, usize)>,
    result: SyncResult,
    /// The first quota that ran out.
    quota: Option<toggl::Error>,
}

impl<'a> Sync<'a> {
    /// Starts, or goes on with what was interrupted.
    async fn new(session: Session<'a>, options: &'a SyncOptions) -> Result<Self, SyncError> {
        let now = session.client.now();
        let signature = signature(options);
        let (state, user_id) = (session.state, session.account.id);
        let (progress, since) = (SyncProgress::key(user_id), Since::key(user_id));
        let (saved, last_since): (Option<SyncProgress>, _) =
            try_join!(state.load(&progress), state.load(&since))?;
        let mut progress = saved
            .filter(|saved| saved.signature == signature)
            .unwrap_or_else(|| SyncProgress::new(signature));
        progress.forget_before(now, options.resume_within);
        if !progress.is_empty() {
            info!(
                target: ORCHESTRATOR,
                "Going on with the sync that a quota interrupted; {} listings were read within {}",
                progress.done_count(),
                humantime::format_duration(options.resume_within)
            );
        }
        let mut result = SyncResult::default();
        if progress.is_empty() {
            progress.uncertain.clear();
        }
        for (name, reason) in std::mem::take(&mut progress.uncertain) {
            let resource = catalogue::find(&name).map_or("other", |resource| resource.name);
            result.uncertain.push((resource, reason));
        }
        let ahead = session.client.clock_ahead();
        if !ahead.is_zero() {
            let difference = toggl::difference(ahead);
            result.notes.push(format!(
                "This machine's clock is {difference}; all times were corrected by that"
            ));
        }
        Ok(Self {
            today: session.today(),
            session,
            options,
            progress,
            last_since,
            workspaces: Vec::new(),
            workspace_listing: None,
            membership: Membership::default(),
            counts: Vec::new(),
            result,
            quota: None,
        })
    }

    /// Which workspaces to read. The list of them is asked for where it is to be sent, or needed for that.
    async fn workspace_ids(&mut self) -> Result<Vec<i64>, SyncError> {
        let resource = workspaces_resource();
        let wanted = &self.options.workspaces;
        let is_chosen = self.options.selection.has(resource);
        let is_needed = *wanted == Workspaces::All
            || self.options.team_days.is_some()
            || (matches!(wanted, Workspaces::Ids(_)) && self.reads_organizations());
        if is_needed || (is_chosen && self.progress.done(resource, 0).is_none()) {
            match self.session.workspaces().await {
                Ok((workspaces, fetched)) => {
                    self.workspaces = workspaces;
                    self.workspace_listing = Some(fetched);
                }
                Err(error) if is_needed => return Err(error.into()),
                Err(error) => {
                    let outcome = lists::outcome_of(error)?;
                    self.note(resource, 0, outcome);
                }
            }
        }
        if let Workspaces::Ids(named) = wanted {
            self.refuse_foreign(named)?;
        }
        let ids = match self.session.named_workspaces(wanted) {
            Some(ids) => ids,
            None if *wanted == Workspaces::All => self.workspaces.iter().map(|w| w.id).collect(),
            None => Vec::new(),
        };
        if ids.is_empty() && *wanted == Workspaces::All {
            return Err(SyncError::NoneListed);
        }
        if ids.is_empty() && self.needs_workspaces() {
            return Err(SyncError::NoWorkspace);
        }
        self.remember_default().await?;
        self.still_open(ids).await
    }

    /// One word instead of one for each listing. A single workspace that is gone keeps no other from being
    /// read, and where the list of them was not asked for, it is not asked for that.
    fn refuse_foreign(&self, named: &[i64]) -> Result<(), SyncError> {
        let is_there = |id: &i64| self.workspaces.iter().any(|there| there.id == *id);
        if self.workspaces.is_empty() || named.iter().any(is_there) {
            return Ok(());
        }
        let there = self.workspaces.iter().map(|there| match &there.name {
            Some(name) => format!("{} ({name})", there.id),
            None => there.id.to_string(),
        });
        let there = there.collect::<Vec<_>>().join(", ");
        let named = named.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        Err(SyncError::NotYours { named, there })
    }

    fn reads_organizations(&self) -> bool {
        catalogue::find("organizations").is_some_and(|r| self.options.selection.has(r))
    }

    /// Whether anything of a workspace's is to be read.
    fn needs_workspaces(&self) -> bool {
        let has = |r: &Resource| r.scope == Scope::Workspace && self.options.selection.has(r);
        catalogue::CATALOGUE.iter().any(has)
            || self.options.days > FLOOR_DAYS
            || self.options.team_days.is_some()
    }

    /// A default workspace that was changed in the profile takes the place of the one that was read until now.
    async fn remember_default(&mut self) -> Result<(), SyncError> {
        if self.options.workspaces != Workspaces::Default || !self.needs_workspaces() {
            return Ok(());
        }
        let (state, account) = (self.session.state, &self.session.account);
        let key = Remembered::key(account.id);
        let now = Remembered { default_workspace_id: account.default_workspace_id };
        let before: Option<Remembered> = state.load(&key).await?;
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        if let (Some(old), Some(new)) =
            (before.and_then(|b| b.default_workspace_id), now.default_workspace_id)
        {
            self.result.uncertain.push((
                workspaces_resource().name,
                format!(
                    "the profile's default workspace is {new} now; {old}, which was read until now, is read \
                     no more. To read both: --workspace {old},{new} (TOGGL_WORKSPACE_ID)"
                ),
            ));
        }
        Ok(state.save(&key, &now).await?)
    }

    /// The workspaces that entries may be of; all where none were named.
    fn chosen(&self) -> Option<&'a [i64]> {
        match &self.options.workspaces {
            Workspaces::Ids(ids) => Some(ids),
            Workspaces::Default | Workspaces::All => None,
        }
    }

    fn skip(&mut self, resource: &'static Resource, reason: String) {
        warn!(target: ORCHESTRATOR, "Skipped {}: {reason}", resource.name);
        self.result.skipped.push((resource.name, reason));
    }

    fn fail(&mut self, resource: &'static Resource, reason: String) {
        error!(target: ORCHESTRATOR, "Could not read {}: {reason}", resource.name);
        self.result.failed.push((resource.name, reason));
    }

    fn doubt(&mut self, resource: &'static Resource, reason: String) {
        warn!(target: ORCHESTRATOR, "Nothing is taken for deleted of {}: {reason}", resource.name);
        self.result.uncertain.push((resource.name, reason));
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
        self.note_whose_entries(&workspace_ids);
        let key = SyncProgress::key(self.session.account.id);
        if let Some(error) = self.quota {
            self.progress.uncertain = self.result.not_known_complete();
            self.session.state.save(&key, &self.progress).await?;
            let listings = self.progress.done_count();
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

/// What a sync is going to read, in words.
fn beginning(options: &SyncOptions) -> String {
    let SyncOptions { days, selection, .. } = options;
    if *selection == Selection::default() {
        return format!("full sync ({days} days)");
    }
    let entries = selection.names().split(',').any(|name| name == "time_entries");
    let days = if entries { format!(" ({days} days)") } else { String::new() };
    format!("sync of {}{days}", selection.names().replace(',', ", "))
}

/// What tells one sync from another.
fn signature(options: &SyncOptions) -> String {
    let SyncOptions { days, workspaces, selection, since_days, .. } = options;
    format!("days {days}, since {since_days:?}, {workspaces:?}, {}", selection.names())
}
