//! `fetcher report`: the history of whole workspaces.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use shared::catalogue::CATALOGUE;
use shared::exit::chain;
use shared::resource::Paging;
use shared::telemetry::REPORT;
use tracing::{error, info, warn};

use super::Session;
use super::lists::{Outcome, refused};
use crate::account::Workspaces;
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::publisher::Publisher;
use crate::report::{Report, Scope, Stopped};
use crate::state::State;
use crate::toggl::{self, Client};

/// What to report.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// First day.
    pub from: Date,
    /// Last day, inclusive; today if none.
    pub to: Option<Date>,
    /// Workspaces to read.
    pub workspaces: Workspaces,
    /// Forget where the same report was interrupted.
    pub restart: bool,
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
/// same call goes on where it was interrupted.
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
    let mut session = Session::open(client, publisher, state, options.patience).await?;
    let (workspaces, _) = session.workspaces().await?;
    let workspace_ids = match session.named_workspaces(&options.workspaces)? {
        Some(ids) => ids,
        None => workspaces.iter().map(|workspace| workspace.id).collect(),
    };
    let today = Timestamp::now().to_zoned(session.account.zone()).date();
    let mut result = ReportResult::default();
    let mut reports = Vec::new();
    for workspace_id in workspace_ids {
        let is_admin = workspaces.iter().any(|w| w.id == workspace_id && w.is_admin());
        let Some(report) = session.report(workspace_id, is_admin, options, today) else {
            break;
        };
        let mut tally = Tally::default();
        let outcome = read(&report, options.restart, &mut tally).await;
        reports.push(report);
        result.rest.add(&mut tally);
        match outcome? {
            Outcome::Sent(count) => {
                info!(target: REPORT, "Sent {count} entries of workspace {workspace_id}");
                result.entries.push((workspace_id, count));
            }
            Outcome::Skipped(reason) => {
                warn!(target: REPORT, "Skipped workspace {workspace_id}: {reason}");
                result.rest.skipped.push(("time_entries_report", reason));
            }
            Outcome::Failed(reason) => result.rest.failed.push(("time_entries_report", reason)),
            Outcome::OutOfQuota(error, ..) => {
                session.save_standings().await?;
                let sent = format!("{} entries are sent", tally.records);
                return Err(SyncError::Quota { error, sent });
            }
        }
    }
    // Only now: until every workspace is read, none is read again.
    for report in reports {
        report.forget().await?;
    }
    session.save_standings().await?;
    result.elapsed = started.elapsed();
    Ok(result)
}

impl Session<'_> {
    fn report(
        &self,
        workspace_id: i64,
        is_admin: bool,
        options: &ReportOptions,
        today: Date,
    ) -> Option<Report<'_>> {
        let resource = CATALOGUE.iter().find(|r| r.paging == Paging::Report)?;
        let Self { client, publisher, state, account, .. } = self;
        let scope = Scope::Workspace { user_id: account.id, is_admin };
        let (from, to) = (options.from, options.to);
        Some(Report { client, publisher, state, resource, workspace_id, scope, from, to, today })
    }
}

/// Reads a report, or decides what its error means for the run.
pub(super) async fn read(
    report: &Report<'_>,
    restart: bool,
    tally: &mut Tally,
) -> Result<Outcome, SyncError> {
    match report.run(restart, tally).await {
        Ok(()) => Ok(Outcome::Sent(tally.records)),
        Err(Stopped::Run(error)) => Err(error),
        Err(Stopped::Toggl(error @ toggl::Error::Quota { .. })) => {
            Ok(Outcome::OutOfQuota(error, tally.records, 0))
        }
        Err(Stopped::Toggl(error)) => {
            error!(target: REPORT, "Could not read the report: {}", chain(&error));
            refused(error)
        }
    }
}
