//! Whose data a run reads, and the lease that keeps other runs from doing the same.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Date;
use shared::catalogue;
use shared::resource::Paging;
use tokio::sync::OwnedMutexGuard;

use super::entries::SINCE_MARGIN;
use super::turns::Turn;
use super::workspaces_resource;
use crate::account::{Account, Workspace, Workspaces};
use crate::lists::{self, Asking, Fetched};
use crate::outcome::SyncError;
use crate::publisher::Publisher;
use crate::state::{Lease, Limits, Profile, Since, State, Work};
use crate::time_entries::FLOOR_DAYS;
use crate::toggl::{self, Client};

/// A client, and whose data it reads.
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) publisher: &'a Publisher,
    pub(super) state: &'a State,
    pub(super) turn: &'a Turn,
    pub(super) account: Account,
    /// The answer of /me, until it is sent.
    pub(super) me: Option<Fetched>,
    /// What is known of limits, as it stands in the bucket.
    pub(super) limits: Limits,
    /// Held until the run has ended, and written down what the next one needs.
    _lease: Lease,
    _only_one: OwnedMutexGuard<()>,
}

impl<'a> Session<'a> {
    /// The account comes first: without it nothing else can be asked, and a refused token shows here.
    pub(super) async fn open(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        work: (Work, Duration),
    ) -> Result<Self, SyncError> {
        let (account, me) = ask_me(client, state).await?;
        Self::of((account, Some(me)), client, publisher, state, turn, work).await
    }

    /// The same without asking whose the token is, where a run has asked within a day; and the workspaces that were
    /// listed then.
    pub(super) async fn open_known(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        work: (Work, Duration),
    ) -> Result<(Self, Vec<Workspace>), SyncError> {
        if let Some(profile) = known_profile(client, state).await? {
            let who = (profile.account(), None);
            let session = Self::of(who, client, publisher, state, turn, work).await?;
            return Ok((session, profile.workspaces()));
        }
        let session = Self::open(client, publisher, state, turn, work).await?;
        let profile: Option<Profile> = state.load(&session.profile_key()).await?;
        Ok((session, profile.map_or_else(Vec::new, |profile| profile.workspaces())))
    }

    /// For a run that asks which workspaces there are, with those. One that may go by what is known of the token's
    /// owner spares a request of his: the answer shows the clock and a refused token as well.
    pub(super) async fn open_listed(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        (work, known_owner): ((Work, Duration), bool),
    ) -> Result<(Self, Vec<Workspace>), SyncError> {
        let profile = if known_owner { fresh_profile(client, state).await? } else { None };
        let who = match profile {
            Some(profile) => (profile.account(), None),
            None => ask_me(client, state).await.map(|(account, me)| (account, Some(me)))?,
        };
        let session = Self::of(who, client, publisher, state, turn, work).await?;
        match session.workspaces().await {
            Ok((workspaces, _)) => Ok((session, workspaces)),
            Err(error) => {
                if matches!(&error, SyncError::Toggl(error) if error.is_closed()) {
                    session.confirm_token().await?;
                }
                Err(error)
            }
        }
    }

    async fn of(
        (account, me): (Account, Option<Fetched>),
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        (work, patience): (Work, Duration),
    ) -> Result<Self, SyncError> {
        let only_one = turn.only_one_of(account.id).await;
        let lease = state.lease((work, account.id), publisher.run_id(), patience).await?;
        let limits: Limits = state.load(&Limits::key(account.id)).await?.unwrap_or_default();
        client.remember(&limits.quotas.iter().copied().collect(), &limits.doubts);
        Ok(Self {
            client,
            publisher,
            state,
            turn,
            account,
            me,
            limits,
            _lease: lease,
            _only_one: only_one,
        })
    }

    /// The workspaces of the token's owner, and the listing that they stand in.
    pub(super) async fn workspaces(&self) -> Result<(Vec<Workspace>, Fetched), SyncError> {
        let (client, resource) = (self.client, workspaces_resource());
        let asking = Asking { client, resource, workspace_id: 0, before: None };
        let fetched = asking.fetch(1).await.map_err(|broken| broken.error)?;
        let workspaces: Vec<Workspace> = lists::decode(client, &fetched.listing)?;
        let (key, state) = (self.profile_key(), self.state);
        // As old as the last answer of /me: else one that is listed again and again would never be asked for.
        let asked: Option<Profile> = state.load(&key).await?;
        let profile = asked.unwrap_or_else(|| Profile::of(&self.account, client.now()));
        state.save(&key, &profile.with(&workspaces)).await?;
        Ok((workspaces, fetched))
    }

    /// Of a refusal nobody knows whether it is the token's, which /me tells, unless that was asked already.
    ///
    /// # Errors
    /// When Toggl refuses the token.
    pub(super) async fn confirm_token(&self) -> Result<(), SyncError> {
        if self.me.is_none() {
            ask_me(self.client, self.state).await?;
        }
        Ok(())
    }

    fn profile_key(&self) -> String {
        Profile::key(&self.client.token_fingerprint())
    }

    /// The workspaces to read, where that needs no list of them; none where the profile has no default.
    pub(super) fn named_workspaces(&self, wanted: &Workspaces) -> Option<Vec<i64>> {
        match wanted {
            Workspaces::All => None,
            Workspaces::Ids(ids) => Some(ids.clone()),
            Workspaces::Default => self.account.default_workspace_id.map(|id| vec![id]),
        }
    }

    /// Today in the profile's time zone, by Toggl's clock.
    pub(super) fn today(&self) -> Date {
        self.client.now().to_zoned(self.account.zone()).date()
    }
}

/// Asks whose the token is, and writes it down for runs that do not ask.
async fn ask_me(client: &Client, state: &State) -> Result<(Account, Fetched), SyncError> {
    let Some(me) = catalogue::lists().find(|resource| resource.paging == Paging::Object) else {
        return Err(SyncError::NoWorkspace);
    };
    let asking = Asking { client, resource: me, workspace_id: 0, before: None };
    let fetched = asking.fetch(1).await.map_err(|broken| broken.error)?;
    let account: Option<Account> = lists::decode(client, &fetched.listing)?.pop();
    let account = account.ok_or_else(|| unusable_account(client, &fetched))?;
    let key = Profile::key(&client.token_fingerprint());
    let before = state.load(&key).await?;
    let profile = Profile::of(&account, fetched.listing.fetched_at).after(before);
    state.save(&key, &profile).await?;
    Ok((account, fetched))
}

/// What a run has heard of the token's owner within a day.
async fn fresh_profile(client: &Client, state: &State) -> Result<Option<Profile>, SyncError> {
    let profile: Option<Profile> = state.load(&Profile::key(&client.token_fingerprint())).await?;
    Ok(profile.filter(|profile| profile.is_fresh(client.now())))
}

/// The same, if that is enough to ask for changes: without an answer nobody knows by how much this machine's clock is
/// wrong, so the last request for changes has to lie where any clock puts it.
async fn known_profile(client: &Client, state: &State) -> Result<Option<Profile>, SyncError> {
    let now = client.now();
    let Some(profile) = fresh_profile(client, state).await? else { return Ok(None) };
    let since: Option<Since> = state.load(&Since::key(profile.account().id)).await?;
    let age = since.map(|since| now.duration_since(since.fetched_at));
    let is_usual = age.is_some_and(|age| {
        age >= -SINCE_MARGIN && age < SignedDuration::from_hours(24 * i64::from(FLOOR_DAYS - 1))
    });
    Ok(Some(profile).filter(|_| is_usual))
}

/// /me is no object with an id: an answer from somebody else.
fn unusable_account(client: &Client, fetched: &Fetched) -> toggl::Error {
    let Fetched { listing, .. } = fetched;
    let reason = listing.rejected.first().map_or("it is empty", |first| first.reason.as_str());
    toggl::Error::Body { path: listing.resource.path.to_owned(), reason: client.words(reason) }
}
