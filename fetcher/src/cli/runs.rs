//! The commands that ask Toggl: for every account that is meant, with a client and a run of its own.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Zoned;
use jiff::civil::Date;
use shared::exit::{Exit, Failure, OrExit as _};

use super::failures::failure;
use super::run_summary::RunSummary;
use super::side_by_side::{Work, for_each};
use super::{CommonArgs, IfRunning, ReportArgs, SyncArgs, summary};
use crate::account::Workspaces;
use crate::credentials::Login;
use crate::orchestrator::{ReportOptions, SyncOptions, report_beside, sync_beside};
use crate::outcome::SyncError;
use crate::selection::Selection;
use crate::state::LeaseError;
use crate::toggl::Client;

pub(super) async fn sync(
    common: &CommonArgs,
    args: &SyncArgs,
    run_summary: &mut RunSummary,
) -> Result<Exit, Failure> {
    let selection = Selection::new(&args.only, &args.skip);
    let selection = selection.map_err(|words| anyhow!(words)).or_exit(Exit::Usage)?;
    let work = async |Work { login, client, publisher, broker, turn }: Work<'_>| {
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
        Ok(sync_beside(client, publisher, &broker.state, turn, &options).await?)
    };
    for_each(common, run_summary, work, |run, result, account| {
        run.lacks(result);
        summary::sync(result, account)
    })
    .await
}

pub(super) async fn report(
    common: &CommonArgs,
    args: &ReportArgs,
    run_summary: &mut RunSummary,
) -> Result<Exit, Failure> {
    in_order(args.from, args.to)?;
    // Somewhere it may be tomorrow already.
    let tomorrow = Zoned::now().date().tomorrow().ok();
    if args.from.zip(tomorrow).is_some_and(|(from, tomorrow)| from > tomorrow) {
        return Err(anyhow!("--from lies in the future")).or_exit(Exit::Usage);
    }
    let work = async |Work { login, client, publisher, broker, turn }: Work<'_>| {
        let options = ReportOptions {
            days: args.days(),
            workspaces: workspaces(common, login),
            restart: args.restart,
            resume_within: args.resume_within,
            patience: patience(common),
            known_owner: args.known_owner,
        };
        Ok(report_beside(client, publisher, &broker.state, turn, &options).await?)
    };
    for_each(common, run_summary, work, |run, result, account| {
        run.lacks(&result.rest);
        summary::report(result, account)
    })
    .await
}

/// # Errors
/// When the last day lies before the first one.
pub(super) fn in_order(from: Option<Date>, to: Option<Date>) -> Result<(), Failure> {
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        return Err(anyhow!("--to lies before --from")).or_exit(Exit::Usage);
    }
    Ok(())
}

pub(super) fn workspaces(common: &CommonArgs, login: &Login) -> Workspaces {
    let stored = || login.credentials.workspace_id.map(|id| Workspaces::Ids(vec![id]));
    common.credentials.workspaces.clone().or_else(stored).unwrap_or_default()
}

pub(super) fn client(common: &CommonArgs, login: &Login) -> Result<Client, Failure> {
    Client::new(&common.toggl, login.credentials.api_token.clone()).or_exit(Exit::Failed)
}

/// How long another run of the same account is waited for.
pub(super) fn patience(common: &CommonArgs) -> Duration {
    match common.if_running {
        IfRunning::Wait => common.toggl.max_wait,
        IfRunning::Skip | IfRunning::Fail => Duration::ZERO,
    }
}

/// A run that did not come to its end. One that another run keeps from beginning is skipped where that was
/// asked for: no success for whoever waits until the tables have it.
pub(super) fn unfinished(common: &CommonArgs, error: SyncError) -> Result<Exit, Failure> {
    let SyncError::Lease(LeaseError::Running(running)) = &error else {
        return Err(failure(error));
    };
    if common.if_running != IfRunning::Skip {
        return Err(anyhow!("{running}; --if-running says what to do then")).or_exit(Exit::Failed);
    }
    summary::skipped(running);
    Ok(if common.wait.is_some() { Exit::Incomplete } else { Exit::Done })
}
