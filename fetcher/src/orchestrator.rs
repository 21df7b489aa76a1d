//! One sync: who am I, in which workspaces, their lists in parallel, then the time entries, then what has
//! changed besides, then everybody's entries where that was asked for.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::try_join;
use jiff::civil::Date;
use shared::catalogue;
use shared::resource::Resource;
use shared::telemetry::ORCHESTRATOR;
use tracing::{error, info, warn};

use crate::account::{Workspace, Workspaces};
use crate::lists::Fetched;
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::state::{Membership, Since, State, SyncProgress, Work};
use crate::toggl::{self, Client};

mod change_runs;
mod closed_workspaces;
mod cost;
mod entries;
mod entries_by_id;
mod lists;
mod looks;
mod membership;
mod named;
mod older_entries;
mod options;
mod people;
mod report_runs;
mod session;
mod shared_lists;
mod team;
mod turns;
mod verify_runs;
mod workspaces;

use lists::{KnownList, Undecided};
use options::{beginning, signature};
use session::Session;
use turns::{Note, Slot};

pub use change_runs::{ChangeOptions, changes_all};
pub(crate) use change_runs::{changes_beside, look_at_lists};
pub(crate) use looks::{Listener, look_at_entries, tell_gone};
pub use options::SyncOptions;
pub(crate) use report_runs::report_beside;
pub use report_runs::{ReportDays, ReportOptions, ReportResult, report_all};
pub(crate) use turns::{Turn, turns};
pub(crate) use verify_runs::{Repair, Verification};
pub use verify_runs::{VerifyOptions, VerifyResult};

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
    sync_beside(client, publisher, state, &Turn::alone(), options).await
}

/// The same for one of several accounts, each of which reads of what they share what it would read if they came
/// one after the other.
pub(crate) async fn sync_beside(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    turn: &Turn,
    options: &SyncOptions,
) -> Result<SyncResult, SyncError> {
    let started = Instant::now();
    info!(target: ORCHESTRATOR, "Starting Toggl Track {}", beginning(options));
    let work = (Work::Sync, options.patience);
    let session = Session::open(client, publisher, state, turn, work).await?;
    let mut sync = Sync::new(session, options, Extent::Whole).await?;
    let workspace_ids = sync.workspace_ids().await?;
    sync.announce_cost(&workspace_ids).await?;
    sync.lists(&workspace_ids).await?;
    sync.time_entries(&workspace_ids).await?;
    sync.team(&workspace_ids).await?;
    sync.later_lists().await?;
    sync.finish(workspace_ids, started).await
}

/// The catalogue's row of workspaces: account-level, and asked by a path of its own.
#[expect(clippy::expect_used, reason = "a test of the catalogue holds it to have the row")]
fn workspaces_resource() -> &'static Resource {
    catalogue::find("workspaces").expect("the catalogue has workspaces")
}

/// How much of everything a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Lists and windows, whole.
    Whole,
    /// What has changed of entries, and of lists as far as those are named, or of all.
    Changes { lists: bool },
    /// What has changed of some lists, and nothing else.
    Lists,
}

struct Sync<'a> {
    session: Session<'a>,
    options: &'a SyncOptions,
    extent: Extent,
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
    /// The listings of which it depends on other accounts who reads them.
    undecided: Vec<Undecided>,
    /// Whether that was waited for long enough.
    waited: bool,
    /// What was read of what others can read, too, until it is written down.
    notes: BTreeMap<Slot, Note>,
    /// What was read of lists that entries name, until it is written down.
    known: Vec<KnownList>,
    result: SyncResult,
    /// The first quota that ran out.
    quota: Option<toggl::Error>,
}

impl Extent {
    fn progress_key(self, user_id: i64) -> String {
        match self {
            Self::Whole => SyncProgress::key(user_id),
            Self::Changes { .. } => SyncProgress::key_of_changes(user_id),
            Self::Lists => SyncProgress::key_of_lists(user_id),
        }
    }
}

impl<'a> Sync<'a> {
    /// Starts, or goes on with what was interrupted.
    async fn new(
        session: Session<'a>,
        options: &'a SyncOptions,
        extent: Extent,
    ) -> Result<Self, SyncError> {
        let now = session.client.now();
        let signature = signature(options);
        let (state, user_id) = (session.state, session.account.id);
        let (progress, since) = (extent.progress_key(user_id), Since::key(user_id));
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
        Ok(Self {
            today: session.today(),
            session,
            options,
            extent,
            progress,
            last_since,
            workspaces: Vec::new(),
            workspace_listing: None,
            membership: Membership::default(),
            counts: Vec::new(),
            undecided: Vec::new(),
            waited: false,
            notes: BTreeMap::new(),
            known: Vec::new(),
            result,
            quota: None,
        })
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

    fn note_clock(&mut self) {
        let ahead = self.session.client.clock_ahead();
        if !ahead.is_zero() {
            let difference = toggl::difference(ahead);
            let note =
                format!("This machine's clock is {difference}; all times were corrected by that");
            self.result.notes.insert(0, note);
        }
    }

    /// Writes down what the next run needs.
    async fn finish(
        mut self,
        workspace_ids: Vec<i64>,
        started: Instant,
    ) -> Result<SyncResult, SyncError> {
        self.save_limits().await?;
        self.note_clock();
        if self.extent == Extent::Whole {
            self.note_whose_entries(&workspace_ids);
        }
        let key = self.extent.progress_key(self.session.account.id);
        if let Some(error) = self.quota {
            self.progress.uncertain = self.result.not_known_complete();
            self.session.state.save(&key, &self.progress).await?;
            let sent = match self.extent {
                Extent::Whole | Extent::Lists => {
                    format!("{} listings are sent", self.progress.done_count())
                }
                Extent::Changes { .. } => {
                    format!("{} time entries are sent", self.result.time_entries_count)
                }
            };
            return Err(SyncError::Quota { error, sent });
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
