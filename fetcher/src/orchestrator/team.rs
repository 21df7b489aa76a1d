//! Everybody's entries of the last days, beside the owner's own: by report, and not at every sync.
//!
//! Who is running a timer reports do not tell dependably: that is known of the owner of a token only.

use std::time::Duration;

use shared::catalogue::CATALOGUE;
use shared::resource::{Paging, Resource};
use shared::telemetry::REPORT;
use tracing::info;

use super::Sync;
use super::report_runs::{self, Outcome, ReportDays, read};
use crate::outcome::{SyncError, Tally, TeamResult};
use crate::report::Scope;
use crate::state::{TeamRead, is_within};

/// A schedule is not so punctual that a day always lies between two runs.
const SLACK: Duration = Duration::from_mins(30);

impl Sync<'_> {
    /// Reads the reports that are due.
    pub(super) async fn team(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let Some(days) = self.options.team_days else { return Ok(()) };
        let Some(resource) = CATALOGUE.iter().find(|r| r.paging == Paging::Report) else {
            return Ok(());
        };
        let mut is_seen_anywhere = workspace_ids.is_empty();
        for id in workspace_ids {
            // Which is said already.
            if self.is_closed(*id) {
                is_seen_anywhere = true;
                continue;
            }
            if !self.is_admin_of(*id) {
                self.result.notes.push(format!(
                    "This account is no admin of workspace {id}, so its reports show no more than its owner \
                     may see: everybody's entries need an admin's token"
                ));
                continue;
            }
            is_seen_anywhere = true;
            match self.last_team_read(*id).await? {
                Some(last) => self.result.team.push(result(*id, last)),
                None => self.team_report(resource, *id, days).await?,
            }
        }
        if !is_seen_anywhere {
            let reason = "this account is an admin of no workspace that is read".to_owned();
            self.skip(resource, reason);
        }
        Ok(())
    }

    fn is_admin_of(&self, workspace_id: i64) -> bool {
        self.workspaces.iter().any(|w| w.id == workspace_id && w.is_admin())
    }

    /// The last reading of a workspace, if none is due.
    pub(super) async fn last_team_read(
        &self,
        workspace_id: i64,
    ) -> Result<Option<TeamRead>, SyncError> {
        let key = TeamRead::key(self.session.account.id, workspace_id);
        let last: Option<TeamRead> = self.session.state.load(&key).await?;
        let every = self.options.team_every;
        let young = every.saturating_sub(SLACK.min(every / 4));
        let now = self.session.client.now();
        Ok(last.filter(|last| {
            !every.is_zero()
                && Some(last.days) == self.options.team_days
                && is_within(last.at, now, young)
        }))
    }

    async fn team_report(
        &mut self,
        resource: &'static Resource,
        workspace_id: i64,
        days: u32,
    ) -> Result<(), SyncError> {
        let session = &self.session;
        let scope = Scope::Workspace { user_id: session.account.id, is_admin: true };
        let resuming = (ReportDays::Last(days), Some(report_runs::RESUME_WITHIN));
        let Some(mut report) = session.report(workspace_id, scope, resuming)? else {
            return Ok(());
        };
        report.label = Some(format!("team-{days}"));
        let at = session.client.now();
        let mut tally = Tally::default();
        let outcome = read(&report, &mut tally).await;
        let is_uncertain = !tally.uncertain.is_empty();
        if let Ok(Outcome::Sent(records)) = outcome {
            report.forget().await?;
            let last = TeamRead { at, days, records };
            // What is uncertain is read again by the next run.
            if !is_uncertain {
                let key = TeamRead::key(session.account.id, workspace_id);
                session.state.save(&key, &last).await?;
            }
            info!(target: REPORT, "Sent {records} entries of everybody in workspace {workspace_id}");
            self.result.team.push(result(workspace_id, last));
        }
        self.result.add(&mut tally);
        match outcome? {
            Outcome::Sent(_) => {}
            Outcome::Skipped(reason) => self.skip(resource, reason),
            Outcome::Failed(reason) => self.fail(resource, reason),
            Outcome::OutOfQuota(error) => self.out_of_quota(error),
        }
        Ok(())
    }
}

fn result(workspace_id: i64, TeamRead { at, days, records }: TeamRead) -> TeamResult {
    TeamResult { workspace_id, days, records, read_at: at }
}
