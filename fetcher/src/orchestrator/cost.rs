//! What a run will cost in requests, and what is left of the quotas for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::catalogue;
use shared::resource::{Paging, Resource, Scope};
use shared::telemetry::ORCHESTRATOR;
use tracing::{debug, info, warn};

use super::{Session, Sync};
use crate::outcome::SyncError;
use crate::state::Limits;
use crate::toggl::{Bucket, ListedQuota, QUOTA_PATH};

/// Requests by the quota they count in.
type Cost = BTreeMap<Bucket, u32>;

impl Session<'_> {
    /// Writes down what this run has learned of quotas.
    pub(super) async fn save_standings(&mut self) -> Result<(), SyncError> {
        self.limits.standings = self.client.standings().into_iter().collect();
        self.limits.doubts = self.client.doubts();
        self.save_limits().await
    }

    async fn save_limits(&self) -> Result<(), SyncError> {
        self.state.save(&Limits::key(self.account.id), &self.limits).await?;
        Ok(())
    }

    /// What Toggl says of every quota; nothing where it does not answer, for nothing depends on it.
    pub(crate) async fn listed_quotas(&self) -> Vec<ListedQuota> {
        match self.client.get(QUOTA_PATH, &[]).await {
            Ok(answer) => serde_json::from_slice(&answer.body).unwrap_or_default(),
            Err(error) => {
                debug!(target: ORCHESTRATOR, %error, "Toggl does not tell its quotas");
                Vec::new()
            }
        }
    }
}

impl Sync<'_> {
    /// Says what the sync is about to cost, and warns where that is more than there is.
    pub(super) async fn announce_cost(&mut self, workspace_ids: &[i64]) -> Result<(), SyncError> {
        if self.session.limits.totals.is_empty() {
            let totals = totals(&self.session.listed_quotas().await, workspace_ids);
            self.session.limits.totals = totals;
            self.session.save_limits().await?;
        }
        let limits = &self.session.limits;
        let now = Timestamp::now();
        let standings = self.session.client.standings();
        let last = limits.cost.as_ref();
        let cost = match last.filter(|(signature, _)| *signature == self.progress.signature) {
            Some((_, cost)) => cost.iter().copied().collect(),
            None => self.least_cost(workspace_ids),
        };
        for (bucket, requests) in cost {
            let total = limits.totals.iter().find(|(known, _)| *known == bucket).map(|(_, n)| *n);
            let left = standings.get(&bucket).and_then(|standing| standing.left(now)).or(total);
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
        Ok(())
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
        if self.quota.is_none() && !self.progress.was_saved {
            let requests = self.session.client.requests().into_iter().collect();
            self.session.limits.cost = Some((self.progress.signature.clone(), requests));
        }
        self.session.save_standings().await
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
