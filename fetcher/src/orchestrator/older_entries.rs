//! The token owner's own entries of days that only reports have.

use jiff::civil::Date;
use shared::catalogue::CATALOGUE;
use shared::resource::{Paging, Resource};

use super::Sync;
use super::report_runs::{Outcome as ReportOutcome, RESUME_WITHIN, read};
use crate::outcome::Tally;
use crate::report::{Report, Scope, Stopped};
use crate::time_entries::FLOOR_DAYS;
use crate::window::first_of;

impl Sync<'_> {
    /// The token owner's own entries of the days before Toggl's floor, in the chosen workspaces.
    pub(super) async fn older_entries(&mut self, workspace_ids: &[i64]) -> Result<(), Stopped> {
        let today = self.today;
        let from = first_of(self.options.days, today)?;
        let to = first_of(FLOOR_DAYS, today)?;
        let Some(resource) = CATALOGUE.iter().find(|r| r.paging == Paging::Report) else {
            return Ok(());
        };
        let mut count = 0;
        for workspace_id in workspace_ids.iter().copied() {
            // Which is said already.
            if self.is_closed(workspace_id) {
                continue;
            }
            if let Some(done) = self.progress.done(resource, workspace_id) {
                count += done.records;
                continue;
            }
            let report = self.own_report(resource, workspace_id, (from, to));
            let mut of_workspace = Tally::default();
            let outcome = read(&report, &mut of_workspace).await;
            if matches!(outcome, Ok(ReportOutcome::Sent(_))) {
                report.forget().await?;
            }
            count += of_workspace.records;
            self.result.add(&mut of_workspace);
            match outcome.map_err(Stopped::Run)? {
                ReportOutcome::Sent(records) => {
                    let now = self.session.client.now();
                    self.progress.finish(resource, workspace_id, records, now);
                }
                ReportOutcome::Skipped(reason) => self.skip(resource, reason),
                ReportOutcome::Failed(reason) => self.fail(resource, reason),
                ReportOutcome::OutOfQuota(error) => self.out_of_quota(error),
            }
        }
        self.result.report_count = Some(count);
        Ok(())
    }
    /// The report of the token owner's own entries of these days.
    fn own_report(
        &self,
        resource: &'static Resource,
        workspace_id: i64,
        (from, to): (Date, Date),
    ) -> Report<'_> {
        let session = &self.session;
        Report {
            client: session.client,
            publisher: session.publisher,
            state: session.state,
            resource,
            workspace_id,
            scope: Scope::User(session.account.id),
            from,
            to: Some(to),
            today: self.today,
            label: Some(format!("older-{}", self.options.days)),
            resume_within: Some(RESUME_WITHIN),
        }
    }
}
