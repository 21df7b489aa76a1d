//! What differs, read once more: entries by their ids, and, where only sums are known, days by reports.
//!
//! An entry that the inventory lacks, and that Toggl does not show when it is asked for by its id either, is
//! said to be gone, by its id alone. Nothing else is said to be.

use std::collections::BTreeSet;

use shared::catalogue;
use shared::telemetry::REPORT;
use tracing::{info, warn};

use super::Verification;
use crate::inventory::Days;
use crate::orchestrator::entries_by_id::{
    AT_ONCE, EntriesById, EntriesError, Missing, gone_record,
};
use crate::orchestrator::report_runs::{Outcome, ReportDays, read};
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::report::Scope;
use crate::toggl::Error;

/// From this many entries on, an inventory that lacks more than half of them is not believed.
const GUARDED_ENTRIES: usize = 20;

/// What a workspace is to be read of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repair {
    pub(crate) workspace_id: i64,
    /// Entries that differ.
    pub(crate) entries: BTreeSet<i64>,
    /// Entries that are here and not in the inventory.
    pub(crate) gone: BTreeSet<i64>,
    /// Entries that are here, in the days of the inventories.
    pub(crate) stored: usize,
    /// Days in which sums differ.
    pub(crate) days: Vec<Days>,
}

impl Repair {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gone.is_empty() && self.days.is_empty()
    }

    /// What of it is not in that one.
    pub(crate) fn beyond(mut self, read: &Self) -> Self {
        let is_new = |id: &i64| !read.entries.contains(id) && !read.gone.contains(id);
        self.entries.retain(is_new);
        self.gone.retain(is_new);
        self.days.retain(|days| !read.days.contains(days));
        self
    }

    /// Adds what is in that one.
    pub(crate) fn extend(&mut self, more: Self) {
        self.entries.extend(more.entries);
        self.gone.extend(more.gone);
        self.days.extend(more.days);
    }

    fn is_incredible(&self) -> bool {
        self.stored >= GUARDED_ENTRIES && self.gone.len() * 2 > self.stored
    }
}

impl Verification<'_> {
    /// Reads what differs. What could not be read is named in the result.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub(crate) async fn repair(&mut self, plan: &Repair) -> Result<SyncResult, SyncError> {
        let mut result = SyncResult::default();
        let read = self.read(plan, &mut result).await;
        if matches!(read, Ok(()) | Err(SyncError::Quota { .. })) {
            self.session.save_quotas().await?;
        }
        read.map(|()| result)
    }

    async fn read(&self, plan: &Repair, result: &mut SyncResult) -> Result<(), SyncError> {
        let ids: Vec<i64> = plan.entries.union(&plan.gone).copied().collect();
        let mut tally = Tally::default();
        let (client, publisher) = (self.session.client, self.session.publisher);
        let entries = EntriesById { client, publisher, workspace_id: plan.workspace_id };
        for ids in ids.chunks(AT_ONCE) {
            let missing = match entries.read(ids, &mut tally).await {
                Ok(missing) => missing,
                Err(error) => {
                    result.add(&mut tally);
                    return unread(error, result);
                }
            };
            self.tell_gone(plan, &missing, &mut tally, result).await?;
        }
        info!(target: REPORT, "Read {} entries of workspace {} once more", tally.records, plan.workspace_id);
        result.add(&mut tally);
        for days in &plan.days {
            self.report(plan.workspace_id, *days, result).await?;
        }
        Ok(())
    }

    /// Says of entries that they are gone, to both tables that may have them.
    async fn tell_gone(
        &self,
        plan: &Repair,
        missing: &Missing,
        tally: &mut Tally,
        result: &mut SyncResult,
    ) -> Result<(), SyncError> {
        let gone: Vec<i64> =
            missing.ids.iter().filter(|id| plan.gone.contains(id)).copied().collect();
        let Some(fetched_at) = missing.fetched_at.filter(|_| !gone.is_empty()) else {
            return Ok(());
        };
        if plan.is_incredible() {
            let reason = format!(
                "workspace {}: {} of {} entries are not at Toggl, more than half: none is taken for deleted. \
                 If that is so, `fetcher report` over these days says it",
                plan.workspace_id,
                plan.gone.len(),
                plan.stored
            );
            warn!(target: REPORT, "{reason}");
            result.uncertain.push((crate::inventory::resource().name, reason));
            return Ok(());
        }
        let tables = catalogue::CATALOGUE.iter().filter(|resource| resource.is_time_entry());
        for resource in tables {
            for id in &gone {
                let listing = gone_record(resource, plan.workspace_id, (*id, fetched_at));
                tally.send(self.session.publisher, listing).await?;
            }
        }
        info!(target: REPORT, "{} entries of workspace {} are gone at Toggl", gone.len(), plan.workspace_id);
        Ok(())
    }

    /// Reads days by a report.
    async fn report(
        &self,
        workspace_id: i64,
        days: Days,
        result: &mut SyncResult,
    ) -> Result<(), SyncError> {
        let is_admin = self.inventory(workspace_id).is_admin;
        let scope = Scope::Workspace { user_id: self.session.account.id, is_admin };
        let days = (ReportDays::Between(days.from, Some(days.to)), None);
        let Some(report) = self.session.report(workspace_id, scope, days)? else { return Ok(()) };
        let mut tally = Tally::default();
        let outcome = read(&report, &mut tally).await;
        result.add(&mut tally);
        let name = report.resource.name;
        match outcome? {
            Outcome::Sent(_) => report.forget().await?,
            Outcome::Skipped(reason) => result.skipped.push((name, reason)),
            Outcome::Failed(reason) => result.failed.push((name, reason)),
            Outcome::OutOfQuota(error) => {
                return Err(SyncError::Quota {
                    error,
                    sent: "a part of what differs is read".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// What that means for the run.
fn unread(error: EntriesError, result: &mut SyncResult) -> Result<(), SyncError> {
    match error {
        EntriesError::Run(error) => Err(error),
        EntriesError::Toggl(error @ Error::Quota { .. }) => {
            Err(SyncError::Quota { error, sent: "a part of what differs is read".to_owned() })
        }
        EntriesError::Toggl(error @ Error::Credentials { .. }) => Err(error.into()),
        EntriesError::Toggl(error) => {
            let reason = shared::exit::chain(&error);
            warn!(target: REPORT, "Could not read what differs: {reason}");
            result.failed.push((crate::inventory::resource().name, reason));
            Ok(())
        }
    }
}
