//! Looks at Toggl for what events told: one at a time, so that all that comes meanwhile makes one more.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use shared::catalogue::{self, CATALOGUE};
use shared::resource::Resource;
use shared::telemetry::run_span;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::bell::Bell;
use super::metrics::{LookKind, Metrics};
use super::notes::Notes;
use super::pending::{Gone, Pending};
use super::share::Share;
use super::turn::{Look, Turned, judge};
use crate::account::Workspaces;
use crate::orchestrator::{
    ChangeOptions, Turn, changes_beside, look_at_entries, look_at_lists, tell_gone,
};
use crate::outcome::{SyncError, SyncResult};
use crate::publisher::Publisher;
use crate::state::State;
use crate::toggl::{Bucket, Client, QuotaStates};
use crate::webhooks::Entity;

/// A client and a publisher for one run.
pub(super) type Run<'a> = &'a (dyn Fn() -> (Client, Publisher) + Sync);

/// Whoever looks.
pub(super) struct Looks<'a> {
    /// Knows what time it is.
    pub(super) client: &'a Client,
    /// Each look is a run of its own, whose requests are counted.
    pub(super) run: Run<'a>,
    /// What looks have heard of the quotas.
    pub(super) quotas: QuotaStates,
    pub(super) state: &'a State,
    pub(super) workspaces: Workspaces,
    /// How long another run of the account is waited for.
    pub(super) patience: Duration,
    pub(super) bell: Bell,
    pub(super) notes: Notes,
    pub(super) metrics: Metrics,
    pub(super) share: Share,
    /// When the next look may take from each quota.
    pub(super) turns: BTreeMap<Bucket, Turned>,
    /// The same of what is told to NATS alone.
    pub(super) gone_turn: Turned,
}

impl Looks<'_> {
    /// Looks whenever it rings and the quota's share allows it.
    ///
    /// # Errors
    /// When Toggl refuses the token.
    pub(super) async fn run(&mut self) -> SyncError {
        loop {
            self.until_due().await;
            let now = Instant::now();
            let may = |bucket: Bucket| self.turns.get(&bucket).is_none_or(|turn| turn.is_due(now));
            let taken = self.bell.take(may, self.gone_turn.is_due(now));
            if !taken.is_empty() {
                // What was rung for without a delivery is not written yet.
                self.notes.write().await;
                match self.look(taken).await {
                    Ok(left) => self.bell.done(left),
                    Err(error) => return error,
                }
                self.notes.write().await;
            }
        }
    }

    /// Until something waits whose turn it is.
    async fn until_due(&self) {
        loop {
            let (buckets, has_gone) = self.bell.waits_for();
            let turns = buckets.iter().map(|bucket| self.turns.get(bucket).and_then(Turned::at));
            let gone = has_gone.then_some(self.gone_turn.at());
            let now = Instant::now();
            match turns.chain(gone).map(|at| at.unwrap_or(now)).min() {
                Some(at) if at <= now => return,
                Some(at) => drop(tokio::time::timeout_at(at, self.bell.rung()).await),
                None => self.bell.rung().await,
            }
        }
    }

    /// What is to be looked at once more is in the answer.
    async fn look(&mut self, taken: Pending) -> Result<Pending, SyncError> {
        let mut left = Pending { gone: self.tell_gone(taken.gone).await?, ..Pending::default() };
        if taken.own {
            let (client, publisher) = self.begin();
            let outcome = self.look_at_own(&client, &publisher).await;
            let look = self.settle(Bucket::User, LookKind::Own, &client, outcome)?;
            left.own = matches!(look, Look::Left);
        }
        for (workspace_id, ids) in taken.entries {
            let (client, publisher) = self.begin();
            let looking = look_at_entries(&client, &publisher, workspace_id, &ids);
            let outcome = looking.instrument(run_span(publisher.run_id(), None)).await;
            let bucket = Bucket::Workspace(workspace_id);
            match self.settle(bucket, LookKind::Entries, &client, outcome)? {
                Look::Done => {}
                Look::Left => drop(left.entries.insert(workspace_id, ids)),
                Look::Dropped => self.bell.drop_events(ids.len() as u64, None),
            }
        }
        let mut lists: BTreeMap<i64, Vec<Entity>> = BTreeMap::new();
        for (workspace_id, entity) in taken.lists {
            lists.entry(workspace_id).or_default().push(entity);
        }
        for (workspace_id, entities) in lists {
            let run = self.begin();
            let outcome = self.look_at_lists(&run, workspace_id, &entities).await;
            let bucket = Bucket::Workspace(workspace_id);
            match self.settle(bucket, LookKind::Lists, &run.0, outcome)? {
                // The next sync reads them whole.
                Look::Done | Look::Dropped => {}
                Look::Left => {
                    left.lists.extend(entities.into_iter().map(|entity| (workspace_id, entity)));
                }
            }
        }
        Ok(left)
    }

    /// A run that knows of the quotas what others have heard.
    fn begin(&self) -> (Client, Publisher) {
        let (client, publisher) = (self.run)();
        client.remember(&self.quotas, &BTreeMap::new());
        (client, publisher)
    }

    /// What has changed of the owner's entries, in one request.
    async fn look_at_own(
        &self,
        client: &Client,
        publisher: &Publisher,
    ) -> Result<SyncResult, SyncError> {
        let turn = Turn::alone();
        let options = ChangeOptions {
            workspaces: self.workspaces.clone(),
            lists: false,
            patience: self.patience,
        };
        let span = run_span(publisher.run_id(), None);
        let looking = changes_beside(client, publisher, self.state, &turn, &options);
        Box::pin(looking).instrument(span).await
    }

    /// What has changed of lists that have such things.
    async fn look_at_lists(
        &self,
        (client, publisher): &(Client, Publisher),
        workspace_id: i64,
        entities: &[Entity],
    ) -> Result<SyncResult, SyncError> {
        let turn = Turn::alone();
        let names = entities.iter().flat_map(|entity| lists_of(*entity)).copied().collect();
        let wanted = (workspace_id, names, self.patience);
        let span = run_span(publisher.run_id(), None);
        let looking = look_at_lists(client, publisher, self.state, &turn, wanted);
        Box::pin(looking).instrument(span).await
    }

    /// Tells the tables what is gone; answers what could not be told.
    async fn tell_gone(&mut self, all: Vec<Gone>) -> Result<Vec<Gone>, SyncError> {
        if all.is_empty() {
            return Ok(all);
        }
        let (_, publisher) = self.begin();
        let span = run_span(publisher.run_id(), None);
        let mut told = 0;
        let telling = async {
            for gone in &all {
                // By Toggl's clock it cannot be later than now.
                let at = gone.at.min(self.client.now());
                for resource in tables_of(gone.entity) {
                    tell_gone(&publisher, resource, gone.workspace_id, (gone.id, at)).await?;
                }
                told += 1;
            }
            Ok::<_, SyncError>(SyncResult::default())
        };
        let outcome = telling.instrument(span).await;
        let look = judge(
            &mut self.gone_turn,
            self.share.gap,
            LookKind::Deletions,
            outcome,
            &self.metrics,
        )?;
        let left: Vec<Gone> = all.into_iter().skip(told).collect();
        match look {
            Look::Done => self.gone_turn = Turned::default(),
            Look::Left => return Ok(left),
            Look::Dropped => {
                self.bell.drop_events(left.len() as u64, left.first().map(|gone| gone.at));
            }
        }
        Ok(Vec::new())
    }

    /// What a look came to, and when the next may take from the same quota.
    fn settle(
        &mut self,
        bucket: Bucket,
        kind: LookKind,
        client: &Client,
        outcome: Result<SyncResult, SyncError>,
    ) -> Result<Look, SyncError> {
        self.quotas.extend(client.quota_states());
        let known = self.quotas.get(&bucket).copied();
        let pause = self.share.pause(bucket, known, Timestamp::now());
        judge(self.turns.entry(bucket).or_default(), pause, kind, outcome, &self.metrics)
    }
}

/// The lists of a workspace that have things of this kind.
const fn lists_of(entity: Entity) -> &'static [&'static str] {
    match entity {
        Entity::Project => &["projects"],
        Entity::Client => &["clients"],
        Entity::Tag => &["tags"],
        Entity::Task => &["tasks"],
        Entity::ProjectUser => &["project_users"],
        Entity::WorkspaceUser => &["users", "workspace_users"],
        Entity::TimeEntry | Entity::Workspace | Entity::Other => &[],
    }
}

/// The tables that may have a thing of this kind.
fn tables_of(entity: Entity) -> Vec<&'static Resource> {
    if entity == Entity::TimeEntry {
        return CATALOGUE.iter().filter(|resource| resource.is_time_entry()).collect();
    }
    lists_of(entity).iter().filter_map(|name| catalogue::find(name)).collect()
}
