//! `fetcher report`: the history of whole workspaces.

use std::time::{Duration, Instant};

use jiff::civil::Date;
use shared::catalogue::CATALOGUE;
use shared::exit::chain;
use shared::resource::Paging;
use shared::retry::Disposition;
use shared::telemetry::REPORT;
use tracing::{error, info, warn};

use super::{Session, toggl};
use crate::account::{Workspace, Workspaces};
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::publisher::Publisher;
use crate::report::{Report, Scope, Stopped};
use crate::state::{Membership, State, Work};
use crate::toggl::Client;
use crate::window::first_of;

/// An interrupted report is gone on with for this long after its last page.
pub(crate) const RESUME_WITHIN: Duration = Duration::from_hours(7 * 24);

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
    let started = Instant::now();
    let work = (Work::Report, options.patience);
    let mut session = Session::open(client, publisher, state, work).await?;
    let (workspaces, _) = session.workspaces().await?;
    let workspace_ids = match session.named_workspaces(&options.workspaces) {
        Some(ids) => ids,
        None if options.workspaces == Workspaces::All => workspaces.iter().map(|w| w.id).collect(),
        None => return Err(SyncError::NoWorkspace),
    };
    let key = Membership::key(session.account.id);
    let membership: Membership = state.load(&key).await?.unwrap_or_default();
    let mut result = ReportResult::default();
    result.rest.run_id = publisher.run_id();
    let mut reports = Vec::new();
    for workspace_id in workspace_ids {
        let listed = workspaces.iter().find(|workspace| workspace.id == workspace_id);
        if listed.is_none() && membership.has_left(workspace_id) {
            info!(target: REPORT, "Workspace {workspace_id} is not this account's any more");
            continue;
        }
        if listed.is_none() {
            let reason = format!(
                "Toggl does not list workspace {workspace_id} among this account's, so what its report lacks of \
                 others' entries is not taken for deleted"
            );
            result.rest.uncertain.push(("time_entries_report", reason));
        }
        let is_admin = listed.is_some_and(Workspace::is_admin);
        let scope = Scope::Workspace { user_id: session.account.id, is_admin };
        let resume_within = Some(options.resume_within).filter(|_| !options.restart);
        let days = (options.days, resume_within);
        let Some(report) = session.report(workspace_id, scope, days)? else {
            break;
        };
        let mut tally = Tally::default();
        let outcome = read(&report, &mut tally).await;
        result.rest.add(&mut tally);
        match outcome? {
            Outcome::Sent(count) => {
                reports.push(report);
                info!(target: REPORT, "Sent {count} entries of workspace {workspace_id}");
                result.entries.push((workspace_id, count));
            }
            // A sync has said so.
            Outcome::Skipped(reason) if membership.closed.contains_key(&workspace_id) => {
                info!(target: REPORT, "Workspace {workspace_id} is still closed: {reason}");
            }
            Outcome::Skipped(reason) => {
                warn!(target: REPORT, "Skipped workspace {workspace_id}: {reason}");
                result.rest.skipped.push(("time_entries_report", reason));
            }
            Outcome::Failed(reason) => result.rest.failed.push(("time_entries_report", reason)),
            Outcome::OutOfQuota(error) => {
                session.save_quotas().await?;
                let sent = format!("{} entries are sent", tally.records);
                return Err(SyncError::Quota { error, sent });
            }
        }
    }
    // Only now, and only what was read whole: until every workspace is read, none is read again, and what
    // broke off goes on where it was.
    if result.rest.failed.is_empty() {
        for report in reports {
            report.forget().await?;
        }
    }
    session.save_quotas().await?;
    result.elapsed = started.elapsed();
    Ok(result)
}

impl Session<'_> {
    /// The report of a workspace; none where the catalogue has no reports.
    pub(super) fn report(
        &self,
        workspace_id: i64,
        scope: Scope,
        (days, resume_within): (ReportDays, Option<Duration>),
    ) -> Result<Option<Report<'_>>, SyncError> {
        let Some(resource) = CATALOGUE.iter().find(|r| r.paging == Paging::Report) else {
            return Ok(None);
        };
        let Self { client, publisher, state, .. } = self;
        let today = self.today();
        let (from, to, label) = match days {
            ReportDays::Between(from, to) => (from, to, None),
            ReportDays::Last(days) => (first_of(days, today)?, None, Some(format!("last-{days}"))),
        };
        let report = Report {
            client,
            publisher,
            state,
            resource,
            workspace_id,
            scope,
            from,
            to,
            today,
            label,
            resume_within,
        };
        Ok(Some(report))
    }
}

/// What became of a report. Whatever it was but sent, the next run goes on there.
pub(super) enum Outcome {
    Sent(usize),
    Skipped(String),
    Failed(String),
    OutOfQuota(toggl::Error),
}

/// Reads a report, or decides what its error means for the run.
pub(super) async fn read(report: &Report<'_>, tally: &mut Tally) -> Result<Outcome, SyncError> {
    let error = match report.run(tally).await {
        Ok(()) => return Ok(Outcome::Sent(tally.records)),
        Err(Stopped::Run(error)) => return Err(error),
        Err(Stopped::Toggl(error)) => error,
    };
    if matches!(error, toggl::Error::Quota { .. }) {
        return Ok(Outcome::OutOfQuota(error));
    }
    if matches!(error, toggl::Error::Circular { .. } | toggl::Error::Endless { .. }) {
        // Who went on there would go round for ever.
        report.forget().await?;
        return Ok(Outcome::Failed(chain(&error)));
    }
    error!(target: REPORT, "Could not read the report: {}", chain(&error));
    match error.disposition() {
        Disposition::Stop => Err(error.into()),
        Disposition::Skip => Ok(Outcome::Skipped(chain(&error))),
        Disposition::Retry(_) => {
            Ok(Outcome::Failed(format!("{}; the same command goes on there", chain(&error))))
        }
    }
}
