//! Lists, as far as entries name what no run has read of them, or as far as they have changed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use shared::catalogue;
use shared::exit::chain;
use shared::resource::{Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::info;

use super::allowance::Allowance;
use crate::account::Workspaces;
use crate::lists::Asking;
use crate::orchestrator::entries::SINCE_MARGIN;
use crate::orchestrator::lists::{Outcome, Undecided, outcome_of};
use crate::orchestrator::named::{Named, is_named, lists};
use crate::orchestrator::turns::{Note, Slot};
use crate::orchestrator::{Session, Sync};
use crate::outcome::{SyncError, Tally};
use crate::state::{Known, Listings, Reading, listings_key};
use crate::toggl::Bucket;

/// Changes of lists are not told for ever: v8 told them for two months. What was read longer ago is a sync's to read.
const LONGEST: SignedDuration = SignedDuration::from_hours(45 * 24);

/// Which lists are read besides those of which something is named that nobody has read.
#[derive(Default)]
pub(super) enum Lists {
    /// None.
    #[default]
    Named,
    All,
    These(Vec<&'static str>),
}

impl Lists {
    fn has(&self, resource: &Resource) -> bool {
        match self {
            Self::Named => false,
            Self::All => true,
            Self::These(names) => names.contains(&resource.name),
        }
    }
}

/// What is asked for, and what is left to a sync.
#[derive(Default)]
struct LookUp {
    named: Named,
    /// Lists that are read though nothing unknown is named of them.
    lists: Lists,
    allowance: Allowance,
    /// Ids that were asked for.
    wanted: BTreeMap<(i64, &'static str), BTreeSet<i64>>,
    /// How many of a list are left to a sync, by the reason.
    left: BTreeMap<(Left, &'static str), usize>,
}

/// Why something is left to a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Quota,
    OtherAccount,
    LongAgo,
    NotTold,
}

impl Left {
    const fn words(self) -> &'static str {
        match self {
            Self::Quota => "the last quarter of the quota is kept for other runs",
            Self::OtherAccount => "another account reads these lists",
            Self::LongAgo => "the last whole reading was too long ago",
            Self::NotTold => "Toggl did not tell them when it was asked",
        }
    }
}

impl Sync<'_> {
    /// Asks for what entries name and nobody has read: of lists that tell their changes for those, of others for the
    /// whole list, as a sync would.
    pub(super) async fn look_up(&mut self, named: Named, lists: Lists) -> Result<(), SyncError> {
        let mut look_up = LookUp { named, lists, ..LookUp::default() };
        let whole = self.whole_lists(&mut look_up).await?;
        let slots = whole.iter().filter_map(|listing| match listing {
            Undecided::Of(resource, id) => Some((Slot::list(resource, *id), self.reads(*id))),
            Undecided::Own(_) => None,
        });
        let may: BTreeMap<Slot, Note> = slots.collect();
        let Session { turn, state, .. } = self.session;
        turn.announce(state, may).await?;
        let ids = whole.iter().filter_map(Undecided::workspace_id).collect();
        if !whole.is_empty() {
            self.read_decided(whole, ids).await?;
        }
        self.tell_counts();
        self.note_missing(&mut look_up).await?;
        self.tell_left(&look_up);
        Ok(())
    }

    /// The lists to be read whole. Those that tell their changes are read here, for what they name, too.
    async fn whole_lists(&mut self, look_up: &mut LookUp) -> Result<Vec<Undecided>, SyncError> {
        let mut whole = Vec::new();
        for resource in lists() {
            for workspace_id in self.workspaces_to_look_in(look_up) {
                let key = Known::key(workspace_id, resource.name);
                let known: Option<Known> = self.session.state.load(&key).await?;
                // What no sync reads is none of a run between syncs.
                let Some(known) = known.filter(|known| known.at.is_some()) else { continue };
                let unknown = known.unknown(&look_up.named.of(workspace_id, resource));
                if unknown.is_empty() && !look_up.lists.has(resource) {
                    continue;
                }
                let count = unknown.len();
                if let Some(left) = self.leaves(resource, workspace_id, &known, look_up).await? {
                    *look_up.left.entry((left, resource.name)).or_default() += count;
                    continue;
                }
                look_up.wanted.insert((workspace_id, resource.name), unknown);
                if resource.lists_changes {
                    self.read_changes(resource, workspace_id, &known, look_up).await?;
                } else {
                    whole.push(Undecided::Of(resource, workspace_id));
                }
            }
        }
        whole.extend(self.other_lists(look_up).await?);
        Ok(whole)
    }

    /// Those of the workspaces that are chosen and open.
    fn workspaces_to_look_in(&self, look_up: &LookUp) -> BTreeSet<i64> {
        let options = &self.options.workspaces;
        let chosen: BTreeSet<i64> = match self.session.named_workspaces(options) {
            Some(ids) => ids.into_iter().collect(),
            None if *options == Workspaces::All => {
                let listed = self.workspaces.iter().map(|workspace| workspace.id);
                listed.chain(look_up.named.workspace_ids()).collect()
            }
            None => BTreeSet::new(),
        };
        chosen.into_iter().filter(|id| !self.is_closed(*id)).collect()
    }

    /// Why a list is left to a sync, if it is.
    async fn leaves(
        &self,
        resource: &'static Resource,
        workspace_id: i64,
        known: &Known,
        look_up: &mut LookUp,
    ) -> Result<Option<Left>, SyncError> {
        let Session { client, state, turn, limits, .. } = &self.session;
        let slot = Slot::list(resource, workspace_id);
        let reading = turn.stored_reading(state, &slot, self.reader(workspace_id)).await?;
        if matches!(reading, Reading::LeftTo(_)) {
            return Ok(Some(Left::OtherAccount));
        }
        let now = client.now();
        if resource.lists_changes && known.at.is_some_and(|at| now.duration_since(at) > LONGEST) {
            return Ok(Some(Left::LongAgo));
        }
        let bucket = Bucket::Workspace(workspace_id);
        let may = look_up.allowance.take(bucket, &client.quota_states(), limits, now);
        Ok((!may).then_some(Left::Quota))
    }

    /// What was created, changed or deleted of a list since it was read last. It claims nothing.
    async fn read_changes(
        &mut self,
        resource: &'static Resource,
        workspace_id: i64,
        known: &Known,
        look_up: &mut LookUp,
    ) -> Result<(), SyncError> {
        let client = self.session.client;
        let since = known.at.and_then(|at| at.checked_sub(SINCE_MARGIN).ok());
        let asking = Asking { client, resource, workspace_id, before: None };
        let (listing, is_all) = match asking.changes(since.unwrap_or_default()).await {
            Ok(changes) => changes,
            Err(error) => {
                self.not_read((resource, workspace_id), outcome_of(error)?, look_up);
                return Ok(());
            }
        };
        let (fetched_at, ids) = (listing.fetched_at, ids_of(&listing.records));
        for record in &listing.records {
            look_up.named.note(workspace_id, record);
        }
        let mut tally = Tally::default();
        let count = tally.send(self.session.publisher, listing).await?;
        self.result.add(&mut tally);
        info!(target: MASTERS, "Sent {count} changed {} of workspace {workspace_id}", resource.name);
        self.count(resource, count);
        let key = Known::key(workspace_id, resource.name);
        let learn = |known: &mut Known| {
            known.learn(ids.iter().copied());
            if is_all {
                known.at = Some(fetched_at);
            }
            true
        };
        Ok(self.session.state.change(&key, learn).await?)
    }

    /// A list that is closed is not asked again before the next sync, of others the next run asks again.
    fn not_read(
        &mut self,
        (resource, workspace_id): (&'static Resource, i64),
        outcome: Outcome,
        look_up: &mut LookUp,
    ) {
        if let Outcome::Skipped(refusal) = outcome {
            return self.skip(resource, refusal.reason);
        }
        let wanted = look_up.wanted.remove(&(workspace_id, resource.name)).unwrap_or_default();
        match outcome {
            Outcome::Failed(reason) => self.fail(resource, reason),
            Outcome::OutOfQuota(error, ..) => {
                info!(target: MASTERS, "Left {} to the next sync: {}", resource.name, chain(&error));
                *look_up.left.entry((Left::Quota, resource.name)).or_default() += wanted.len();
            }
            Outcome::Skipped(_) | Outcome::Sent(_) => {}
        }
    }

    /// The lists that nobody names records of, as far as this account's syncs have read them.
    async fn other_lists(&mut self, look_up: &mut LookUp) -> Result<Vec<Undecided>, SyncError> {
        let mut whole = Vec::new();
        if matches!(look_up.lists, Lists::Named) {
            return Ok(whole);
        }
        for workspace_id in self.workspaces_to_look_in(look_up) {
            let key = listings_key(self.session.account.id, workspace_id);
            let read: Listings = self.session.state.load(&key).await?.unwrap_or_default();
            let of_workspace = catalogue::lists().filter(|r| r.scope == Scope::Workspace);
            let others = of_workspace.filter(|r| !is_named(r) && read.contains_key(r.name));
            for resource in others.filter(|r| look_up.lists.has(r)).collect::<Vec<_>>() {
                let known = Known::default();
                match self.leaves(resource, workspace_id, &known, look_up).await? {
                    None => whole.push(Undecided::Of(resource, workspace_id)),
                    Some(left) => {
                        look_up.left.entry((left, resource.name)).or_default();
                    }
                }
            }
        }
        Ok(whole)
    }

    /// What did not come although it was asked for is not asked for again before the next sync.
    async fn note_missing(&mut self, look_up: &mut LookUp) -> Result<(), SyncError> {
        for ((workspace_id, name), wanted) in std::mem::take(&mut look_up.wanted) {
            let mut missing = 0;
            let miss = |known: &mut Known| {
                missing = known.unknown(&wanted).len();
                known.miss(wanted.iter().copied());
                missing > 0
            };
            let key = Known::key(workspace_id, name);
            self.session.state.change(&key, miss).await?;
            if missing > 0 {
                *look_up.left.entry((Left::NotTold, name)).or_default() += missing;
            }
        }
        Ok(())
    }

    /// Says what a sync will bring.
    fn tell_left(&mut self, look_up: &LookUp) {
        for ((left, name), count) in &look_up.left {
            let what = match count {
                0 if *left == Left::OtherAccount => continue,
                0 => format!("Changes of {name}"),
                count => format!("{count} of {name} that entries name"),
            };
            let reason = left.words();
            self.result.notes.push(format!("{what} come with the next sync: {reason}"));
        }
    }
}

fn ids_of(records: &[shared::batch::Record]) -> Vec<i64> {
    records.iter().map(|record| record.source_id).collect()
}
