//! `fetcher report`: the history of whole workspaces.

use std::time::{Duration, Instant};

use jiff::civil::Date;
use shared::telemetry::REPORT;
use tracing::{info, warn};

mod one;

pub(super) use self::one::{Outcome, read};
use super::session::Session;
use super::turns::Turn;
use crate::account::{Workspace, Workspaces};
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::publisher::Publisher;
use crate::report::Scope;
use crate::state::{LastRun, Membership, State, Work};
use crate::toggl::Client;

/// An interrupted report is gone on with for this long after its last page.
pub(crate) const RESUME_WITHIN: Duration = Duration::from_hours(7 * 24);

/// The resource whose records they are.
const REPORTS: &str = "time_entries_report";

/// Which days a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportDays {
    /// From the first to the last, both inclusive; to today if there is no last.
    Between(Date, Option<Date>),
    /// So many, today included.
    Last(u32),
}

/// What to report.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// Days in the time zone of the Toggl profile.
    pub days: ReportDays,
    /// Workspaces to read.
    pub workspaces: Workspaces,
    /// Forget where the same report was interrupted.
    pub restart: bool,
    /// An interrupted report is gone on with for this long after its last page.
    pub resume_within: Duration,
    /// How long another run of the same account is waited for.
    pub patience: Duration,
    /// Whether it goes by what a run of the last day has heard of the token's owner.
    pub known_owner: bool,
}

/// What a report did. Every entry counted here has been acknowledged by JetStream.
#[derive(Debug, Clone, Default)]
pub struct ReportResult {
    /// Entries sent by workspace, those of an interrupted run included.
    pub entries: Vec<(i64, usize)>,
    /// What was skipped, rejected or unsent.
    pub rest: SyncResult,
    /// From the first request to the last acknowledgement.
    pub elapsed: Duration,
}

/// Reads the entries of whole workspaces, as far as the token may see them, and publishes them. The
/// same call goes on where it was interrupted, whatever interrupted it.
///
/// # Errors
/// See [`SyncError`].
pub async fn report_all(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    options: &ReportOptions,
) -> Result<ReportResult, SyncError> {
    report_beside(client, publisher, state, &Turn::alone(), options).await
}

/// The same for one of several accounts.
pub(crate) async fn report_beside(
    client: &Client,
    publisher: &Publisher,
    state: &State,
    turn: &Turn,
    options: &ReportOptions,
) -> Result<ReportResult, SyncError> {
    let started = Instant::now();
    let how = ((Work::Report, options.patience), options.known_owner);
    let opening = Session::open_listed(client, publisher, state, turn, how);
    let (mut session, workspaces) = opening.await?;
    let workspace_ids = match session.named_workspaces(&options.workspaces) {
        Some(ids) => ids,
        None if options.workspaces == Workspaces::All => workspaces.iter().map(|w| w.id).collect(),
        None => return Err(SyncError::NoWorkspace),
    };
    let membership: Option<Membership> = state.load(&Membership::key(session.account.id)).await?;
    let mut result = ReportResult::default();
    result.rest.run_id = publisher.run_id();
    let run = ReportRun {
        session: &session,
        options,
        workspaces,
        membership: membership.unwrap_or_default(),
    };
    let read = run.read(workspace_ids, &mut result).await;
    if read.is_ok() && matches!(options.days, ReportDays::Last(_)) {
        session.note_run(LastRun::REPORT);
    }
    // Of a quota that ran out the next run is to know, too.
    if matches!(read, Ok(()) | Err(SyncError::Quota { .. })) {
        session.save_quotas().await?;
    }
    read?;
    result.elapsed = started.elapsed();
    Ok(result)
}

/// The reports of one run.
struct ReportRun<'a> {
    session: &'a Session<'a>,
    options: &'a ReportOptions,
    /// Those that Toggl lists.
    workspaces: Vec<Workspace>,
    membership: Membership,
}

impl ReportRun<'_> {
    /// Reads workspace by workspace. What was read whole is forgotten only when all are: until then none is
    /// read again, and what broke off goes on where it was.
    async fn read(&self, ids: Vec<i64>, result: &mut ReportResult) -> Result<(), SyncError> {
        let mut reports = Vec::new();
        for workspace_id in ids {
            let Some(scope) = self.scope(workspace_id, result) else { continue };
            let resume_within = Some(self.options.resume_within).filter(|_| !self.options.restart);
            let days = (self.options.days, resume_within);
            let Some(report) = self.session.report(workspace_id, scope, days)? else { break };
            let mut tally = Tally::default();
            let outcome = read(&report, &mut tally).await;
            result.rest.add(&mut tally);
            match outcome? {
                Outcome::Sent(count) => {
                    reports.push(report);
                    info!(target: REPORT, "Sent {count} entries of workspace {workspace_id}");
                    result.entries.push((workspace_id, count));
                }
                Outcome::Skipped(reason) => self.skip(workspace_id, reason, result),
                Outcome::Failed(reason) => result.rest.failed.push((REPORTS, reason)),
                Outcome::OutOfQuota(error) => {
                    let sent = format!("{} entries are sent", tally.records);
                    return Err(SyncError::Quota { error, sent });
                }
            }
        }
        if result.rest.failed.is_empty() {
            for report in reports {
                report.forget().await?;
            }
        }
        Ok(())
    }

    /// Whose entries of a workspace are read; none where it was left.
    fn scope(&self, workspace_id: i64, result: &mut ReportResult) -> Option<Scope> {
        let listed = self.workspaces.iter().find(|workspace| workspace.id == workspace_id);
        if listed.is_none() && self.membership.has_left(workspace_id) {
            info!(target: REPORT, "Workspace {workspace_id} is not this account's any more");
            return None;
        }
        if listed.is_none() {
            let reason = format!(
                "Toggl does not list workspace {workspace_id} among this account's, so what its report lacks of \
                 others' entries is not taken for deleted"
            );
            result.rest.uncertain.push((REPORTS, reason));
        }
        let is_admin = listed.is_some_and(Workspace::is_admin);
        Some(Scope::Workspace { user_id: self.session.account.id, is_admin })
    }

    fn skip(&self, workspace_id: i64, reason: String, result: &mut ReportResult) {
        // A sync has said so.
        if self.membership.closed.contains_key(&workspace_id) {
            info!(target: REPORT, "Workspace {workspace_id} is still closed: {reason}");
            return;
        }
        warn!(target: REPORT, "Skipped workspace {workspace_id}: {reason}");
        result.rest.skipped.push((REPORTS, reason));
    }
}
