//! `fetcher changes`: what has changed, for every account that is meant.

use clap::Args;
use shared::exit::{Exit, Failure};

use super::run_summary::RunSummary;
use super::runs::{patience, workspaces};
use super::side_by_side::{Work, for_each};
use super::{CommonArgs, summary};
use crate::orchestrator::{ChangeOptions, changes_beside};

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher changes                          one request; from cron every five minutes
  fetcher changes --wait                   and go on when the tables have it
  fetcher changes --lists                  also what changed of the lists: some five requests
  fetcher changes --account all --quiet    of every stored account, beside each other
  fetcher changes --if-running skip        a sync that is busy brings them anyway";

/// Which changes are read.
#[derive(Debug, Args)]
pub(super) struct ChangeArgs {
    /// Ask what has changed of the lists, too, as far as syncs read them: one request for each list and workspace. Lists
    /// that tell no changes are read whole.
    #[arg(long)]
    lists: bool,
}

pub(super) async fn changes(
    common: &CommonArgs,
    args: &ChangeArgs,
    run_summary: &mut RunSummary,
) -> Result<Exit, Failure> {
    let work = async |Work { login, client, publisher, broker, turn }: Work<'_>| {
        let options = ChangeOptions {
            workspaces: workspaces(common, login),
            lists: args.lists,
            patience: patience(common),
        };
        let changing = changes_beside(client, publisher, &broker.state, turn, &options);
        Ok(Box::pin(changing).await?)
    };
    for_each(common, run_summary, work, |run, result, account| {
        run.lacks(result);
        summary::changes(result, account)
    })
    .await
}
