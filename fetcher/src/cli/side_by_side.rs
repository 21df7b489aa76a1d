//! The accounts of a command beside each other: each has a client and with it a pace, a publisher and an end of its
//! own. What is said of them is said in their order.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use shared::exit::{Exit, Failure};
use shared::telemetry::run_span;
use tracing::Instrument as _;

use super::CommonArgs;
use super::accounts::Accounts;
use super::broker::{Broker, Published, interrupted, start};
use super::run_summary::{AccountRun, RunSummary};
use super::runs::unfinished;
use crate::credentials::Login;
use crate::orchestrator::{Turn, turns};
use crate::outcome::SyncError;
use crate::publisher::Publisher;
use crate::toggl::Client;

/// What the run of an account works with.
pub(super) struct Work<'a> {
    pub(super) login: &'a Login,
    pub(super) client: &'a Client,
    pub(super) publisher: &'a Publisher,
    pub(super) broker: &'a Broker,
    pub(super) turn: &'a Turn,
}

/// Why the work for an account ended early.
pub(super) enum Ended {
    Sync(SyncError),
    Failure(Failure),
}

impl From<SyncError> for Ended {
    fn from(error: SyncError) -> Self {
        Self::Sync(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// What came of an account.
struct Came<T> {
    run: AccountRun,
    published: Published,
    /// None where somebody ended it.
    ended: Option<Result<T, Ended>>,
}

/// Runs the work for every account that is meant, no more of them at once than was allowed, and tells what came of
/// each. One that fails or waits keeps no other from its end.
pub(super) async fn for_each<T>(
    common: &CommonArgs,
    run_summary: &mut RunSummary,
    work: impl AsyncFn(Work<'_>) -> Result<T, Ended>,
    tell: impl Fn(&mut AccountRun, &T, Option<&str>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let (logins, broker) = Box::pin(start(common)).await?;
    let (mut accounts, mut published) = (Accounts::default(), Published::default());
    let name = |login: &Login| (logins.len() > 1).then(|| login.account.clone());
    let runs = logins.iter().zip(turns(logins.len())).enumerate().map(|(place, (login, turn))| {
        let run = Box::pin(one(common, &broker, (login, turn), name(login), &work));
        async move { (place, login, run.await) }
    });
    let mut runs = stream::iter(runs).buffer_unordered(usize::from(common.accounts_at_once));
    // Those that have ended before the ones in front of them.
    let (mut ahead, mut next) = (BTreeMap::new(), 0);
    while let Some((place, login, came)) = runs.next().await {
        ahead.insert(place, (login, came));
        while let Some((login, came)) = ahead.remove(&next) {
            next += 1;
            // None of those that had not begun when somebody ended the command.
            let Some(Came { mut run, published: its, ended }) = came else { continue };
            published.extend(its);
            if let Some(ended) = ended {
                let ended = match ended {
                    Ok(result) => tell(&mut run, &result, name(login).as_deref()),
                    Err(Ended::Sync(error)) => unfinished(common, error),
                    Err(Ended::Failure(failure)) => Err(failure),
                };
                run.ended(&ended);
                accounts.note(&login.account, ended, logins.len());
            }
            run_summary.accounts.push(run);
        }
    }
    drop(runs);
    broker.state.settle().await;
    if broker.is_interrupted() {
        return Err(interrupted());
    }
    let stored = broker.until_stored(common, published).await;
    accounts.conclude(stored)
}

/// One account, from its first request to its last acknowledgement; nothing where somebody has ended the command
/// already.
async fn one<T>(
    common: &CommonArgs,
    broker: &Broker,
    (login, turn): (&Login, Turn),
    name: Option<String>,
    work: &impl AsyncFn(Work<'_>) -> Result<T, Ended>,
) -> Option<Came<T>> {
    if broker.is_interrupted() {
        return None;
    }
    let (client, publisher) = (broker.client(common, login), broker.publisher());
    let (client, publisher, turn) = (&client, &publisher, &turn);
    let working = work(Work { login, client, publisher, broker, turn });
    let working = working.instrument(run_span(publisher.run_id(), name.as_deref()));
    let ended = broker.until_interrupted(working).await;
    let run = AccountRun::of(&login.account, client, publisher);
    Some(Came { run, published: Published::of(publisher), ended })
}
