//! One report of a run: what is asked for, and what its error means.

use std::time::Duration;

use shared::catalogue::CATALOGUE;
use shared::exit::chain;
use shared::resource::Paging;
use shared::retry::Disposition;
use shared::telemetry::REPORT;
use tracing::error;

use super::ReportDays;
use crate::orchestrator::session::Session;
use crate::outcome::{SyncError, Tally};
use crate::report::{Report, Scope, Stopped};
use crate::toggl;
use crate::window::first_of;

impl Session<'_> {
    /// The report of a workspace; none where the catalogue has no reports.
    pub(in crate::orchestrator) fn report(
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
pub(in crate::orchestrator) enum Outcome {
    Sent(usize),
    Skipped(String),
    Failed(String),
    OutOfQuota(toggl::Error),
}

/// Reads a report, or decides what its error means for the run.
pub(in crate::orchestrator) async fn read(
    report: &Report<'_>,
    tally: &mut Tally,
) -> Result<Outcome, SyncError> {
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
