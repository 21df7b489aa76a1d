//! Whose data a run reads, and the lease that keeps other runs from doing the same.

use std::time::Duration;

use jiff::civil::Date;
use shared::catalogue;
use shared::resource::Paging;
use tokio::sync::OwnedMutexGuard;

use super::turns::Turn;
use super::workspaces_resource;
use crate::account::{Account, Workspace, Workspaces};
use crate::lists::{self, Asking, Fetched};
use crate::outcome::SyncError;
use crate::publisher::Publisher;
use crate::state::{Lease, Limits, State, Work};
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
        (work, patience): (Work, Duration),
    ) -> Result<Self, SyncError> {
        let Some(me) = catalogue::lists().find(|resource| resource.paging == Paging::Object) else {
            return Err(SyncError::NoWorkspace);
        };
        let asking = Asking { client, resource: me, workspace_id: 0, before: None };
        let fetched = asking.fetch(1).await.map_err(|broken| broken.error)?;
        let account: Option<Account> = lists::decode(client, &fetched.listing)?.pop();
        let account = account.ok_or_else(|| unusable_account(client, &fetched))?;
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
            me: Some(fetched),
            limits,
            _lease: lease,
            _only_one: only_one,
        })
    }

    /// The workspaces of the token's owner, and the listing that they stand in.
    pub(super) async fn workspaces(&self) -> Result<(Vec<Workspace>, Fetched), toggl::Error> {
        let (client, resource) = (self.client, workspaces_resource());
        let asking = Asking { client, resource, workspace_id: 0, before: None };
        let fetched = asking.fetch(1).await.map_err(|broken| broken.error)?;
        Ok((lists::decode(client, &fetched.listing)?, fetched))
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

/// /me is no object with an id: an answer from somebody else.
fn unusable_account(client: &Client, fetched: &Fetched) -> toggl::Error {
    let Fetched { listing, .. } = fetched;
    let reason = listing.rejected.first().map_or("it is empty", |first| first.reason.as_str());
    toggl::Error::Body { path: listing.resource.path.to_owned(), reason: client.words(reason) }
}
