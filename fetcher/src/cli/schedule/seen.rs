//! What runs have left in the bucket: of the quotas, of what they took, and of when they came.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use shared::nats::Program;

use crate::account::Workspaces;
use crate::cli::CommonArgs;
use crate::credentials::Login;
use crate::plan::{Cost, End, Job, Observed, Pool};
use crate::state::{LastRun, Limits, Profile, State};
use crate::toggl::{self, Bucket};

/// Looks into the bucket, over a connection that is made when it is first needed.
pub(super) struct Watch<'a> {
    common: &'a CommonArgs,
    state: Option<State>,
}

/// What the runs of every account have left.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    accounts: Vec<Account>,
}

#[derive(Debug, Clone)]
struct Account {
    user_id: i64,
    /// The organisation of each workspace, as far as it was told.
    organizations: BTreeMap<i64, i64>,
    /// How many workspaces are read of each organisation.
    read: BTreeMap<i64, u32>,
    limits: Limits,
}

impl<'a> Watch<'a> {
    pub(super) const fn of(common: &'a CommonArgs) -> Self {
        Self { common, state: None }
    }

    /// # Errors
    /// Where credentials or NATS are out of reach.
    pub(super) async fn look(&mut self) -> anyhow::Result<Seen> {
        let logins = self.common.credentials.load().await?;
        let state = match self.state.take() {
            Some(state) => state,
            None => self.open().await?,
        };
        let mut accounts = Vec::new();
        for login in &logins {
            accounts.extend(self.account(&state, login).await?);
        }
        self.state = Some(state);
        Ok(Seen { accounts })
    }

    async fn open(&self) -> anyhow::Result<State> {
        let server = self.common.nats.server()?;
        let nats = server.connect(Program::Fetcher).await?;
        Ok(State::open(&server.jetstream(nats), &self.common.stream).await?)
    }

    async fn account(&self, state: &State, login: &Login) -> anyhow::Result<Option<Account>> {
        let fingerprint = toggl::fingerprint(&login.credentials.api_token);
        let profile: Option<Profile> = state.load(&Profile::key(&fingerprint)).await?;
        let Some(profile) = profile else { return Ok(None) };
        let account = profile.account();
        let limits: Limits = state.load(&Limits::key(account.id)).await?.unwrap_or_default();
        let organization = |id: i64| profile.organization_of(id).unwrap_or_default();
        let all: Vec<i64> = profile.workspaces().iter().map(|workspace| workspace.id).collect();
        let wanted = match crate::cli::runs::workspaces(self.common, login) {
            Workspaces::All => all.clone(),
            Workspaces::Ids(ids) => ids,
            Workspaces::Default => account.default_workspace_id.into_iter().collect(),
        };
        let mut read = BTreeMap::new();
        for id in &wanted {
            *read.entry(organization(*id)).or_default() += 1;
        }
        let organizations = all.iter().chain(&wanted).map(|id| (*id, organization(*id))).collect();
        Ok(Some(Account { user_id: account.id, organizations, read, limits }))
    }
}

impl Seen {
    /// Whether no run has told anything yet.
    pub(super) fn is_blank(&self) -> bool {
        self.accounts.is_empty()
    }

    /// What headers said last, of the hours that are not over.
    pub(super) fn pools(&self, now: Timestamp) -> BTreeMap<Pool, Observed> {
        let mut pools: BTreeMap<Pool, Observed> = BTreeMap::new();
        for account in &self.accounts {
            for (bucket, total) in &account.limits.totals {
                for pool in account.pools(*bucket) {
                    let known = pools.entry(pool).or_default();
                    known.total = Some(known.total.map_or(*total, |known| known.min(*total)));
                }
            }
            for (bucket, quota) in &account.limits.quotas {
                let Some(resets_at) = quota.resets_at.filter(|at| *at > now) else { continue };
                if *bucket == Bucket::Workspace(0) && account.read.len() != 1 {
                    continue;
                }
                let left = if quota.used_up { Some(0) } else { quota.remaining };
                for pool in account.pools(*bucket) {
                    let known = pools.entry(pool).or_default();
                    // Within an hour it only gets less.
                    known.remaining = [known.remaining, left].into_iter().flatten().min();
                    known.resets_at = known.resets_at.max(Some(resets_at));
                }
            }
        }
        pools
    }

    /// What a run takes: what the last whole one took, else what it takes at least. While nothing is known of anybody,
    /// what runs of somebody take who has one workspace; how much a sync asks for his entries, nobody can tell then, so
    /// it may be twice the least.
    pub(super) fn cost(&self, job: Job) -> Cost {
        let mut cost = Cost::new();
        if self.is_blank() {
            let somebody = Account::unknown();
            cost = somebody.least(job);
            if let Some(requests) = cost.get_mut(&Pool::User(somebody.user_id))
                && job == Job::Sync
            {
                *requests *= 2;
            }
        }
        for account in &self.accounts {
            let run = account.limits.runs.get(name(job)).filter(|run| !run.requests.is_empty());
            let of_account = match run {
                Some(run) => account.cost(run),
                None => account.least(job),
            };
            cost.extend(of_account);
        }
        cost
    }

    /// When a run of every account last came.
    pub(super) fn last(&self, job: Job) -> Option<Timestamp> {
        let lasts = self.accounts.iter().map(|account| {
            let run = account.limits.runs.get(name(job));
            run.map(|run| run.at)
        });
        lasts.min().flatten()
    }

    /// What a run took that began then: as it wrote down; else what has gone since from the quotas, but no more than
    /// it usually takes.
    pub(super) fn spent(&self, job: Job, began: Timestamp, before: &Self) -> Cost {
        let mut spent = Cost::new();
        let (usual, earlier) = (before.cost(job), before.pools(began));
        let later = self.pools(began);
        for account in &self.accounts {
            let run = account.limits.runs.get(name(job)).filter(|run| run.at >= began);
            if let Some(run) = run {
                spent.extend(account.cost(run));
                continue;
            }
            let own = later.iter().filter(|(pool, _)| pool.user_id() == account.user_id);
            for (pool, now) in own {
                let was = earlier.get(pool);
                let gone = was
                    .and_then(|was| was.remaining)
                    .or(now.total)
                    .zip(now.remaining)
                    .map_or(0, |(was, is)| (was - is).max(0));
                let usual = usual.get(pool).copied().unwrap_or_default();
                spent.insert(*pool, u32::try_from(gone).unwrap_or(u32::MAX).min(usual));
            }
        }
        spent
    }

    /// What a run took of which nothing can be seen: what it usually takes. But one that reached no more than the
    /// run before it asked Toggl for nothing: NATS and the vault come first. `saw` says that after the run before
    /// it something could be seen.
    pub(super) fn spent_unseen(&self, job: Job, end: End, saw: bool) -> Cost {
        if end == End::Unreachable && !saw { Cost::new() } else { self.cost(job) }
    }
}

impl Account {
    /// Of whom no run has told anything: with one workspace.
    fn unknown() -> Self {
        let (organizations, limits) = (BTreeMap::new(), Limits::default());
        Self { user_id: 0, organizations, read: BTreeMap::from([(0, 1)]), limits }
    }

    /// The pools that a bucket's requests may be counted in: of a path without a workspace nobody knows which
    /// organisation's.
    fn pools(&self, bucket: Bucket) -> Vec<Pool> {
        let of = |organization| Pool::Organization(self.user_id, organization);
        match bucket {
            Bucket::User => vec![Pool::User(self.user_id)],
            Bucket::Workspace(0) => {
                let read: BTreeSet<i64> = self.read.keys().copied().collect();
                read.into_iter().map(of).collect()
            }
            Bucket::Workspace(id) => {
                vec![of(self.organizations.get(&id).copied().unwrap_or_default())]
            }
        }
    }

    fn cost(&self, run: &LastRun) -> Cost {
        let mut cost = Cost::new();
        for (bucket, requests) in &run.requests {
            for pool in self.pools(*bucket) {
                *cost.entry(pool).or_default() += requests;
            }
        }
        cost
    }

    /// One request for each list.
    fn least(&self, job: Job) -> Cost {
        let (user, of_all, of_each) = match job {
            Job::Sync => (4, 1, 5),
            Job::Lists => (1, 0, 5),
            Job::Verify => (0, 1, 2),
            Job::Team => (0, 1, 1),
            Job::Changes => (1, 0, 0),
        };
        let mut cost = Cost::from([(Pool::User(self.user_id), user)]);
        for (organization, workspaces) in &self.read {
            let requests = of_all + of_each * workspaces;
            cost.insert(Pool::Organization(self.user_id, *organization), requests);
        }
        cost.retain(|_, requests| *requests > 0);
        cost
    }
}

/// What runs write themselves down as.
const fn name(job: Job) -> &'static str {
    match job {
        Job::Sync => LastRun::SYNC,
        Job::Lists => LastRun::LISTS,
        Job::Verify => LastRun::VERIFY,
        Job::Team => LastRun::REPORT,
        Job::Changes => LastRun::CHANGES,
    }
}

#[cfg(test)]
mod tests;
