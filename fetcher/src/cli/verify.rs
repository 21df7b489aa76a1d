//! `fetcher verify`: Toggl's own sums against the tables, for every account that is meant.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use jiff::civil::Date;
use shared::exit::{Exit, Failure};

use super::broker::Broker;
use super::run_summary::RunSummary;
use super::runs::{in_order, patience, workspaces};
use super::side_by_side::{Ended, Work, for_each};
use super::{CommonArgs, USUAL_WAIT, day, summary};
use crate::inventory::Days;
use crate::orchestrator::{Repair, Verification, VerifyOptions, VerifyResult};
use crate::outcome::SyncResult;
use crate::publisher::Publisher;
use crate::verdict::{Finding, VerdictError, Verdicts};

/// How often `--repair` reads what differs.
const ROUNDS: usize = 3;

pub(super) const EXAMPLES: &str = "\
Examples:
  fetcher verify                                 since last year; `loader verify` tells the verdict
  fetcher verify --from 2023-01-01 --wait        and says it itself, once loaders have stored it
  fetcher verify --from 2023-01-01 --repair      reads what differs once more, and asks again";

/// What is verified.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// First day, as 2023-01-31. [default: the first of January of last year]
    #[arg(long, value_parser = day)]
    from: Option<Date>,
    /// Last day, inclusive. [default: yesterday]
    #[arg(long, value_parser = day)]
    to: Option<Date>,
    /// Read what differs once more, entries by their ids, and ask again. It waits for loaders (--wait, 5m unless
    /// you say otherwise), for it is Postgres (`DATABASE_URL`) that knows what differs. Nothing is deleted but what
    /// Toggl does not show when it is asked for it by its id either.
    #[arg(long)]
    repair: bool,
    /// Go by what a run of the last day has heard of the token's owner: time zone, default workspace. It takes no
    /// request of the user's then.
    #[arg(long)]
    known_owner: bool,
}

/// What came of it: what was counted, and what Postgres says about that, where it was asked.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) counted: VerifyResult,
    /// What repairing could not do.
    pub(super) repairs: SyncResult,
    pub(super) findings: Option<Vec<Finding>>,
    /// Entries that differed, before they were read once more.
    pub(super) repaired: usize,
}

pub(super) async fn verify(
    common: &CommonArgs,
    args: &VerifyArgs,
    run_summary: &mut RunSummary,
) -> Result<Exit, Failure> {
    in_order(args.from, args.to)?;
    let work = async |work: Work<'_>| One { common, args, broker: work.broker }.run(work).await;
    for_each(common, run_summary, work, |run, verified, account| {
        run.lacks(&verified.counted.rest);
        summary::verify(verified, account)
    })
    .await
}

/// One account's verification.
struct One<'a> {
    common: &'a CommonArgs,
    args: &'a VerifyArgs,
    broker: &'a Broker,
}

impl One<'_> {
    async fn run(
        &self,
        Work { login, client, publisher, turn, .. }: Work<'_>,
    ) -> Result<Verified, Ended> {
        let Self { common, args, broker } = self;
        let options = VerifyOptions {
            from: args.from,
            to: args.to,
            workspaces: workspaces(common, login),
            patience: patience(common),
            known_owner: args.known_owner,
        };
        let opening = Verification::open(client, publisher, &broker.state, turn, &options);
        let mut verification = Box::pin(opening).await?;
        let counted = Box::pin(verification.inventories()).await?;
        let mut verified = Verified { counted, ..Verified::default() };
        let Some(patience) = self.patience() else { return Ok(verified) };
        let Some(mut verdicts) = self.verdicts().await? else { return Ok(verified) };
        self.judge(&mut verdicts, &mut verified, (publisher, patience)).await?;
        if args.repair {
            self.repair(&mut verification, &mut verdicts, &mut verified, (publisher, patience))
                .await?;
        }
        verdicts.close().await;
        Ok(verified)
    }

    /// How long loaders are waited for; none where nobody waits.
    fn patience(&self) -> Option<Duration> {
        let asked = self.common.wait.filter(|wait| !wait.is_zero());
        let usual = || super::wait(USUAL_WAIT).ok().filter(|_| self.args.repair);
        asked.or_else(usual)
    }

    /// The way to Postgres; none where it is not set and not needed.
    async fn verdicts(&self) -> Result<Option<Verdicts>, Failure> {
        match Verdicts::connect(self.common.credentials.database_url.as_ref()).await {
            Ok(verdicts) => Ok(Some(verdicts)),
            Err(VerdictError::Address(shared::postgres::AddressError::Missing))
                if !self.args.repair =>
            {
                Ok(None)
            }
            Err(error) => Err(failure(error)),
        }
    }

    /// Asks for the verdict, once all that it rests on is stored.
    async fn judge(
        &self,
        verdicts: &mut Verdicts,
        verified: &mut Verified,
        (publisher, patience): (&Publisher, Duration),
    ) -> Result<(), Failure> {
        self.broker.until_settled(publisher.newest(), patience).await?;
        let findings = verdicts.findings(&verified.counted.inventory_ids);
        verified.findings = Some(findings.await.map_err(failure)?);
        Ok(())
    }

    /// Reads what differs. Where that does not settle it, takes those inventories once more, and reads what shows
    /// only then: of a group of which an entry was missing, nobody could tell before whether the others differ.
    async fn repair(
        &self,
        verification: &mut Verification<'_>,
        verdicts: &mut Verdicts,
        verified: &mut Verified,
        waiting: (&Publisher, Duration),
    ) -> Result<(), Ended> {
        let mut read: BTreeMap<i64, Repair> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let plans = verdicts.repairs(&verified.counted.inventory_ids).await.map_err(failure)?;
            let plans = plans.into_iter().map(|plan| match read.get(&plan.workspace_id) {
                Some(read) => plan.beyond(read),
                None => plan,
            });
            let plans: Vec<Repair> = plans.filter(|plan| !plan.is_empty()).collect();
            if plans.is_empty() {
                break;
            }
            let differing = verified.days_of(|finding| finding.verdict == "different");
            for plan in plans {
                verified.repaired += plan.entries.len() + plan.gone.len();
                let mut lacks = Box::pin(verification.repair(&plan)).await?;
                verified.repairs.merge(&mut lacks);
                read.entry(plan.workspace_id).or_default().extend(plan);
            }
            self.judge(verdicts, verified, waiting).await?;
            let mut open = verified.days_of(|finding| !finding.is_settled());
            open.retain(|days| differing.contains(days));
            if open.is_empty() {
                break;
            }
            let again = Box::pin(verification.again(&open)).await?;
            verified.counted.replace(again);
            self.judge(verdicts, verified, waiting).await?;
        }
        Ok(())
    }
}

impl Verified {
    /// The days of such inventories, with their workspaces.
    fn days_of(&self, is_meant: impl Fn(&Finding) -> bool) -> Vec<(i64, Days)> {
        let meant = self.findings.iter().flatten().filter(|finding| is_meant(finding));
        meant.filter_map(|finding| Some((finding.workspace_id, finding.days()?))).collect()
    }
}

fn failure(error: VerdictError) -> Failure {
    let exit = match error {
        VerdictError::Address(_) => Exit::Usage,
        VerdictError::Unreachable(_) | VerdictError::Database(_) => Exit::Unreachable,
        VerdictError::Forbidden | VerdictError::NotThere => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}
