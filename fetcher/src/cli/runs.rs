//! The commands that ask Toggl: for every account that is meant, with a client and a run of its own.

use std::time::Duration;

use anyhow::anyhow;
use async_nats::jetstream::Context;
use futures::join;
use jiff::Zoned;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::postgres::AddressError;
use shared::shutdown::Shutdown;
use shared::stream;
use shared::telemetry::{ORCHESTRATOR, run_span};
use tracing::{Instrument as _, info};
use uuid::Uuid;

use super::accounts::Accounts;
use super::chronicle::Chronicle;
use super::{CommonArgs, IfRunning, ReportArgs, SyncArgs, summary};
use crate::account::Workspaces;
use crate::arrival;
use crate::credentials::vault::VaultError;
use crate::credentials::{CredentialsError, Login};
use crate::publisher::{Newest, PublishError, Publisher};
use crate::selection::Selection;
use crate::state::{LeaseError, State};
use crate::toggl::{self, Client};
use crate::{ReportOptions, SyncError, SyncOptions, report_all, sync_all};

pub(super) async fn sync(
    common: &CommonArgs,
    args: &SyncArgs,
    chronicle: &mut Chronicle,
) -> Result<Exit, Failure> {
    let selection = Selection::new(&args.only, &args.skip);
    let selection = selection.map_err(|words| anyhow!(words)).or_exit(Exit::Usage)?;
    let (mut accounts, mut published) = (Accounts::default(), Published::default());
    let (logins, broker) = Box::pin(start(common)).await?;
    for login in &logins {
        let options = SyncOptions {
            days: args.days,
            workspaces: workspaces(common, login),
            selection: selection.clone(),
            since_days: args.since_days,
            team_days: args.team.filter(|days| *days > 0),
            team_every: args.team_every,
            resume_within: args.resume_within,
            patience: patience(common),
        };
        let client = broker.client(common, login);
        let publisher = broker.publisher();
        let syncing = sync_all(&client, &publisher, &broker.state, &options);
        let syncing = syncing.instrument(run_span(publisher.run_id()));
        let ended = Box::pin(broker.run(syncing)).await;
        chronicle.note(&login.account, &client, &publisher);
        published.note(&publisher);
        let ended = ended?.map_or_else(
            |error| unfinished(common, error),
            |result| {
                chronicle.lacks(&result);
                summary::sync(&result, account_of(login, &logins))
            },
        );
        chronicle.ended(&ended);
        accounts.note(&login.account, ended, logins.len());
    }
    let stored = broker.until_stored(common, published).await;
    accounts.conclude(stored)
}

pub(super) async fn report(
    common: &CommonArgs,
    args: &ReportArgs,
    chronicle: &mut Chronicle,
) -> Result<Exit, Failure> {
    if args.from.zip(args.to).is_some_and(|(from, to)| to < from) {
        return Err(anyhow!("--to lies before --from")).or_exit(Exit::Usage);
    }
    // Somewhere it may be tomorrow already.
    let tomorrow = Zoned::now().date().tomorrow().ok();
    if args.from.zip(tomorrow).is_some_and(|(from, tomorrow)| from > tomorrow) {
        return Err(anyhow!("--from lies in the future")).or_exit(Exit::Usage);
    }
    let (mut accounts, mut published) = (Accounts::default(), Published::default());
    let (logins, broker) = Box::pin(start(common)).await?;
    for login in &logins {
        let options = ReportOptions {
            days: args.days(),
            workspaces: workspaces(common, login),
            restart: args.restart,
            resume_within: args.resume_within,
            patience: patience(common),
        };
        let client = broker.client(common, login);
        let publisher = broker.publisher();
        let reporting = report_all(&client, &publisher, &broker.state, &options);
        let reporting = reporting.instrument(run_span(publisher.run_id()));
        let ended = Box::pin(broker.run(reporting)).await;
        chronicle.note(&login.account, &client, &publisher);
        published.note(&publisher);
        let ended = ended?.map_or_else(
            |error| unfinished(common, error),
            |result| {
                chronicle.lacks(&result.rest);
                summary::report(&result, account_of(login, &logins))
            },
        );
        chronicle.ended(&ended);
        accounts.note(&login.account, ended, logins.len());
    }
    let stored = broker.until_stored(common, published).await;
    accounts.conclude(stored)
}

/// The name of an account, where there is more than one.
pub(super) fn account_of<'a>(login: &'a Login, logins: &[Login]) -> Option<&'a str> {
    (logins.len() > 1).then_some(login.account.as_str())
}

pub(super) fn workspaces(common: &CommonArgs, login: &Login) -> Workspaces {
    let stored = || login.credentials.workspace_id.map(|id| Workspaces::Ids(vec![id]));
    common.credentials.workspaces.clone().or_else(stored).unwrap_or_default()
}

pub(super) fn client(common: &CommonArgs, login: &Login) -> Result<Client, Failure> {
    Client::new(&common.toggl, login.credentials.api_token.clone()).or_exit(Exit::Failed)
}

/// How long another run of the same account is waited for.
fn patience(common: &CommonArgs) -> Duration {
    match common.if_running {
        IfRunning::Wait => common.toggl.max_wait,
        IfRunning::Skip | IfRunning::Fail => Duration::ZERO,
    }
}

/// A run that did not come to its end. One that another run keeps from beginning is skipped where that was
/// asked for: no success for whoever waits until the tables have it.
fn unfinished(common: &CommonArgs, error: SyncError) -> Result<Exit, Failure> {
    let SyncError::Lease(LeaseError::Running(running)) = &error else {
        return Err(failure(error));
    };
    if common.if_running != IfRunning::Skip {
        return Err(anyhow!("{running}; --if-running says what to do then")).or_exit(Exit::Failed);
    }
    summary::skipped(running);
    Ok(if common.wait.is_some() { Exit::Incomplete } else { Exit::Done })
}

/// NATS as every account uses it, and the connections to Toggl.
struct Broker {
    shutdown: Shutdown,
    context: Context,
    max_payload: usize,
    state: State,
    http: reqwest::Client,
}

/// What the accounts of a command have published.
#[derive(Default)]
struct Published {
    newest: Newest,
    run_ids: Vec<Uuid>,
}

impl Published {
    fn note(&mut self, publisher: &Publisher) {
        self.newest.extend(publisher.newest());
        self.run_ids.push(publisher.run_id());
    }
}

async fn start(common: &CommonArgs) -> Result<(Vec<Login>, Broker), Failure> {
    let shutdown = Shutdown::on_signals().or_exit(Exit::Failed)?;
    let connecting = Box::pin(connect(common, shutdown.clone()));
    let connected = shutdown.soft.run_until_cancelled(connecting).await;
    connected.unwrap_or_else(|| Err(anyhow!("interrupted")).or_exit(Exit::Failed))
}

async fn connect(common: &CommonArgs, shutdown: Shutdown) -> Result<(Vec<Login>, Broker), Failure> {
    let server = common.nats.server().or_exit(Exit::Usage)?;
    let toggl = common.toggl.clone();
    // As long as that takes, NATS is waited for anyway.
    let http = tokio::task::spawn_blocking(move || toggl::http(&toggl));
    let logins = common.credentials.load().await.map_err(credentials_failure)?;
    let nats = server.connect("toggl-track-fetcher").await.or_exit(Exit::Unreachable)?;
    let max_payload = nats.server_info().max_payload;
    let context = server.jetstream(nats);
    let (stream, state) = join!(
        stream::ensure_stream(&context, &common.stream),
        State::open(&context, &common.stream)
    );
    stream.or_exit(Exit::Unreachable)?;
    let state = state.or_exit(Exit::Unreachable)?;
    let http = http.await.or_exit(Exit::Failed)?.or_exit(Exit::Failed)?;
    Ok((logins, Broker { shutdown, context, max_payload, state, http }))
}

impl Broker {
    fn client(&self, common: &CommonArgs, login: &Login) -> Client {
        let token = login.credentials.api_token.clone();
        Client::over(self.http.clone(), &common.toggl, token)
    }

    fn publisher(&self) -> Publisher {
        Publisher::new(self.context.clone(), self.max_payload)
    }

    /// If that was asked for. Incomplete where loaders kept something as dead letters.
    async fn until_stored(
        &self,
        common: &CommonArgs,
        Published { newest, run_ids }: Published,
    ) -> Result<Exit, Failure> {
        let Some(patience) = common.wait.filter(|wait| !wait.is_zero() && !newest.is_empty())
        else {
            return Ok(Exit::Done);
        };
        info!(target: ORCHESTRATOR, "Waiting until loaders have stored it");
        let storing = arrival::until_stored(&self.context, newest, patience);
        self.run(storing).await?.or_exit(Exit::Failed)?;
        let client = self.context.client();
        let asking = arrival::kept_as_dead_letters(&client, &run_ids, patience);
        let kept = self.run(asking).await?.or_exit(Exit::Failed)?;
        if kept.is_empty() {
            info!(target: ORCHESTRATOR, "Loaders have stored all of it");
            return Ok(Exit::Done);
        }
        summary::kept(&kept);
        Ok(Exit::Incomplete)
    }

    /// Until the run ends or somebody ends it.
    async fn run<T>(&self, run: impl Future<Output = T>) -> Result<T, Failure> {
        let ended = self.shutdown.soft.run_until_cancelled(run).await;
        self.state.settle().await;
        ended
            .ok_or_else(|| {
                anyhow!("interrupted; what was published will be loaded, run again for the rest")
            })
            .or_exit(Exit::Failed)
    }
}

pub(super) fn failure(error: SyncError) -> Failure {
    let exit = match &error {
        SyncError::Toggl(toggl::Error::Credentials { .. }) => Exit::Credentials,
        SyncError::Toggl(toggl::Error::Quota { .. }) | SyncError::Quota { .. } => Exit::Quota,
        SyncError::Publish(PublishError::Unacknowledged { .. } | PublishError::NoStream { .. })
        | SyncError::State(_)
        | SyncError::Lease(LeaseError::State(_)) => Exit::Unreachable,
        SyncError::NotYours { .. } => Exit::Usage,
        SyncError::Toggl(_)
        | SyncError::Publish(PublishError::Encode(_) | PublishError::Full(_))
        | SyncError::Lease(LeaseError::Running(_))
        | SyncError::NoWorkspace
        | SyncError::NoneListed
        | SyncError::Calendar(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

pub(super) fn credentials_failure(error: CredentialsError) -> Failure {
    match error {
        CredentialsError::Vault(error) => vault_failure(error),
        error @ (CredentialsError::OneAccount
        | CredentialsError::OneWorkspace
        | CredentialsError::Contradiction { .. }) => {
            Failure { exit: Exit::Usage, error: error.into() }
        }
        error => Failure { exit: Exit::Credentials, error: error.into() },
    }
}

pub(super) fn vault_failure(error: VaultError) -> Failure {
    let exit = match &error {
        VaultError::Address(AddressError::Missing) => Exit::Credentials,
        VaultError::Address(_) => Exit::Usage,
        error if error.is_unreachable() => Exit::Unreachable,
        _ => Exit::Credentials,
    };
    Failure { exit, error: error.into() }
}
