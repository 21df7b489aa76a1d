//! What a run will cost in requests, and what is left of the quotas for it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use shared::catalogue;
use shared::resource::{Paging, Resource, Scope};
use shared::telemetry::ORCHESTRATOR;
use tracing::{info, warn};

use super::{Extent, Session, Sync};
use crate::outcome::SyncError;
use crate::state::{LastRun, Limits, is_within};
use crate::toggl::{Bucket, ListedQuota, QuotaStates};

/// How often /me/quota is asked where it does not answer.
const TOTALS_EVERY: Duration = Duration::from_hours(24);

/// Requests by the quota they count in.
pub(super) type Cost = BTreeMap<Bucket, u32>;

impl Session<'_> {
    /// Writes down what this run has learned of quotas. A sync and a report of the account may be at work at
    /// once: what the other has written meanwhile stays.
    pub(super) async fn save_quotas(&mut self) -> Result<(), SyncError> {
        let key = Limits::key(self.account.id);
        let stored: Limits = self.state.load(&key).await?.unwrap_or_default();
        let mut quotas: QuotaStates = stored.quotas.into_iter().collect();
        quotas.extend(self.client.quota_states());
        self.limits.quotas = quotas.into_iter().collect();
        self.limits.doubts = self.client.doubts();
        if self.limits.cost.is_none() {
            self.limits.cost = stored.cost;
        }
        for (name, run) in stored.runs {
            let is_newer = self.limits.runs.get(&name).is_none_or(|known| known.at < run.at);
            if is_newer {
                self.limits.runs.insert(name, run);
            }
        }
        if self.limits.totals_asked_at < stored.totals_asked_at {
            self.limits.totals_asked_at = stored.totals_asked_at;
            self.limits.totals = stored.totals;
        }
        self.save_limits().await
    }

    /// Notes that a run of this kind has come to its end.
    pub(super) fn note_run(&mut self, name: &str) {
        let requests = self.client.requests().into_iter().collect();
        self.limits.runs.insert(name.to_owned(), LastRun { at: Timestamp::now(), requests });
    }

    async fn save_limits(&self) -> Result<(), SyncError> {
        self.state.save(&Limits::key(self.account.id), &self.limits).await?;
        Ok(())
    }

    /// Asks what an hour allows, once a day at most, until Toggl has told.
    async fn learn_totals(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        let now = self.client.now();
        let is_recent = |at: Timestamp| is_within(at, now, TOTALS_EVERY);
        if !self.limits.totals.is_empty() || self.limits.totals_asked_at.is_some_and(is_recent) {
            return Ok(());
        }
        self.limits.totals_asked_at = Some(now);
        // Nothing depends on the answer.
        if let Some(quotas) = self.client.listed_quotas().await {
            self.limits.totals = totals(&quotas, workspace_ids);
        }
        self.save_limits().await
    }

    /// Says what a run is about to cost, and warns where that is more than there is.
    pub(super) fn announce(&self, cost: Cost) {
        let now = Timestamp::now();
        let quotas = self.client.quota_states();
        for (bucket, requests) in cost {
            let total = self.limits.total(bucket);
            let left = self.limits.left(bucket, &quotas, now);
            let of = total.map_or_else(String::new, |total| format!(" of {total} an hour"));
            match left {
                Some(left) if left >= 0 && left < i64::from(requests) => warn!(
                    target: ORCHESTRATOR,
                    "This takes about {requests} of {bucket}, and {left}{of} are left: it may stop \
                     half-way, and the next run goes on"
                ),
                Some(left) => info!(
                    target: ORCHESTRATOR,
                    "This takes about {requests} of {bucket}, {left}{of} are left"
                ),
                None => info!(target: ORCHESTRATOR, "This takes about {requests} of {bucket}"),
            }
        }
    }
}

impl Sync<'_> {
    /// Says what the sync is about to cost, and warns where that is more than there is.
    pub(super) async fn announce_cost(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        self.session.learn_totals(workspace_ids).await?;
        let last = self.session.limits.cost.as_ref();
        let cost: Cost = match last.filter(|(signature, _)| *signature == self.progress.signature) {
            Some((_, cost)) => cost.iter().copied().collect(),
            None => self.least_cost(workspace_ids),
        };
        let cost = self.with_team(cost, workspace_ids).await?;
        self.session.announce(cost);
        Ok(())
    }

    /// And what the reports of everybody's entries take, where they are due.
    async fn with_team(&self, mut cost: Cost, workspace_ids: &[i64]) -> Result<Cost, SyncError> {
        if self.options.team_days.is_some() {
            for id in workspace_ids {
                if self.last_team_read(*id).await?.is_none() {
                    *cost.entry(Bucket::Workspace(*id)).or_default() += 1;
                }
            }
        }
        Ok(cost)
    }

    /// One request for each listing: what a sync takes at the very least.
    fn least_cost(&self, workspace_ids: &[i64]) -> Cost {
        // /me has been asked already.
        let mut cost = Cost::new();
        let mut add = |bucket, requests| *cost.entry(bucket).or_default() += requests;
        let chosen = |resource: &&Resource| self.options.selection.has(resource);
        for resource in catalogue::CATALOGUE.iter().filter(chosen) {
            match (resource.paging, resource.scope) {
                (Paging::Object, _) => {}
                // A window and the changes since the last one.
                (Paging::Windows, _) => add(Bucket::User, 2),
                (_, Scope::Account) => add(Bucket::of(resource.path), 1),
                (_, Scope::Workspace) => {
                    for id in workspace_ids {
                        if self.progress.done(resource, *id).is_none() {
                            add(Bucket::Workspace(*id), 1);
                        }
                    }
                }
            }
        }
        cost
    }

    /// Writes down what this run has learned of quotas, and what it cost if it was a whole one.
    pub(super) async fn save_limits(&mut self) -> Result<(), SyncError> {
        if self.quota.is_none() {
            if let Some(name) = self.kind() {
                self.session.note_run(name);
            }
            if self.extent == Extent::Whole && !self.progress.was_saved {
                let requests = self.session.client.requests().into_iter().collect();
                self.session.limits.cost = Some((self.progress.signature.clone(), requests));
            }
        }
        self.session.save_quotas().await
    }

    /// What the run is known as to those that plan others; none where it reads so little that it makes no other
    /// needless.
    fn kind(&self) -> Option<&'static str> {
        let has = |name| catalogue::find(name).is_some_and(|r| self.options.selection.has(r));
        match self.extent {
            Extent::Whole => (has("time_entries") && has("projects")).then_some(LastRun::SYNC),
            Extent::Changes { lists: true } => Some(LastRun::LISTS),
            Extent::Changes { lists: false } => Some(LastRun::CHANGES),
            Extent::Lists => None,
        }
    }
}

/// What an hour allows in each bucket. Which organisation a workspace belongs to is not known here;
/// with several, the smallest quota is the safe guess.
fn totals(quotas: &[ListedQuota], workspace_ids: &[i64]) -> Vec<(Bucket, i64)> {
    let total = |of_user: bool| {
        quotas
            .iter()
            .filter(|quota| quota.organization_id.is_none() == of_user)
            .filter_map(|quota| quota.total)
            .min()
    };
    let workspaces = workspace_ids.iter().copied().chain([0]).map(Bucket::Workspace);
    let organisation = total(false)
        .into_iter()
        .flat_map(|total| workspaces.clone().map(move |bucket| (bucket, total)));
    total(true).map(|total| (Bucket::User, total)).into_iter().chain(organisation).collect()
}
