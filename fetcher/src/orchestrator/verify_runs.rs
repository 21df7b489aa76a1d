//! `fetcher verify`: inventories of whole workspaces, and what they showed to differ read once more.

use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use shared::exit::chain;
use shared::retry::Disposition;
use shared::telemetry::REPORT;
use tracing::{error, info, warn};

mod repair;

pub(crate) use self::repair::Repair;
use super::cost::Cost;
use super::session::Session;
use super::turns::Turn;
use crate::account::{Workspace, Workspaces};
use crate::inventory::{self, Days, Inventory, LONGEST, Stopped, Taken};
use crate::outcome::{SyncError, SyncResult, Tally};
use crate::publisher::Publisher;
use crate::report::FIRST_DAY;
use crate::state::{LastRun, Membership, State, VerifyProgress, Work, is_within};
use crate::toggl::{self, Bucket, Client};

/// Interrupted inventories are gone on with for this long after the last one: what they are held against moves.
const RESUME_WITHIN: Duration = Duration::from_hours(6);

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// First day, in the time zone of each entry's owner; the first of last year if there is none.
    pub from: Option<Date>,
    /// Last day, inclusive; yesterday if there is none.
    pub to: Option<Date>,
    /// Workspaces to verify.
    pub workspaces: Workspaces,
    /// How long another run of the same account is waited for.
    pub patience: Duration,
    /// Whether it goes by what a run of the last day has heard of the token's owner.
    pub known_owner: bool,
}

/// What inventories counted. All of them were acknowledged by JetStream.
#[derive(Debug, Clone, Default)]
pub struct VerifyResult {
    /// Days, entries and seconds of each, by workspace.
    pub(crate) inventories: Vec<(i64, Taken)>,
    /// What the rows of all are called by, those of an interrupted run included.
    pub(crate) inventory_ids: Vec<i64>,
    /// What was skipped, or proves nothing.
    pub rest: SyncResult,
    /// From the first request to the last acknowledgement.
    pub elapsed: Duration,
}

impl VerifyResult {
    /// Takes over inventories that were taken once more.
    pub(crate) fn replace(&mut self, again: Self) {
        for (workspace_id, taken) in again.inventories {
            self.rest.uncertain.retain(|(_, reason)| !reason.contains(&taken.days.to_string()));
            self.inventories.retain(|(id, old)| (*id, old.days) != (workspace_id, taken.days));
            self.inventories.push((workspace_id, taken));
        }
        for id in again.inventory_ids {
            if !self.inventory_ids.contains(&id) {
                self.inventory_ids.push(id);
            }
        }
        let mut rest = again.rest;
        self.rest.merge(&mut rest);
        self.elapsed = again.elapsed;
    }
}

/// One run: whose, and which workspaces of it.
pub(crate) struct Verification<'a> {
    session: Session<'a>,
    workspaces: Vec<Workspace>,
    ids: Vec<i64>,
    days: Days,
    started: Instant,
}

impl<'a> Verification<'a> {
    /// Finds out whose entries are verified, and of which days.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub(crate) async fn open(
        client: &'a Client,
        publisher: &'a Publisher,
        state: &'a State,
        turn: &'a Turn,
        options: &VerifyOptions,
    ) -> Result<Self, SyncError> {
        let started = Instant::now();
        let how = ((Work::Verify, options.patience), options.known_owner);
        let opening = Session::open_listed(client, publisher, state, turn, how);
        let (session, workspaces) = opening.await?;
        let membership: Option<Membership> =
            state.load(&Membership::key(session.account.id)).await?;
        let ids = match session.named_workspaces(&options.workspaces) {
            Some(ids) => ids,
            None if options.workspaces == Workspaces::All => {
                workspaces.iter().map(|workspace| workspace.id).collect()
            }
            None => return Err(SyncError::NoWorkspace),
        };
        let has_left = |id: i64| membership.as_ref().is_some_and(|known| known.has_left(id));
        let ids = ids.into_iter().filter(|id| !has_left(*id)).collect();
        let today = session.today();
        let to = match options.to {
            Some(to) => to,
            None => today.yesterday()?,
        };
        let from = options.from.unwrap_or_else(|| date(today.year() - 1, 1, 1));
        let from = from.max(FIRST_DAY).min(to);
        Ok(Self { session, workspaces, ids, days: Days { from, to }, started })
    }

    /// Takes the inventories of all days. Goes on where the same command was interrupted.
    ///
    /// # Errors
    /// See [`SyncError`]. Inventories that prove nothing are no error: the result names them.
    pub(crate) async fn inventories(&mut self) -> Result<VerifyResult, SyncError> {
        let requests = self.days.spans();
        let cost: Cost = self.ids.iter().map(|id| (Bucket::Workspace(*id), requests)).collect();
        self.session.announce(cost);
        let mut result = VerifyResult::default();
        let mut taken = Ok(());
        for workspace_id in self.ids.clone() {
            taken = self.workspace(workspace_id, &mut result).await;
            if taken.is_err() {
                break;
            }
        }
        if taken.is_ok() {
            self.session.note_run(LastRun::VERIFY);
        }
        if matches!(taken, Ok(()) | Err(SyncError::Quota { .. })) {
            self.session.save_quotas().await?;
        }
        taken?;
        for workspace_id in &self.ids {
            let key = VerifyProgress::key(self.session.account.id, *workspace_id);
            self.session.state.forget(&key).await?;
        }
        result.rest.run_id = self.session.publisher.run_id();
        result.elapsed = self.started.elapsed();
        Ok(result)
    }

    /// Takes these inventories once more, each with a witness.
    ///
    /// # Errors
    /// As for [`inventories`](Self::inventories).
    pub(crate) async fn again(&mut self, days: &[(i64, Days)]) -> Result<VerifyResult, SyncError> {
        let mut result = VerifyResult::default();
        for (workspace_id, days) in days {
            let mut inventory = self.inventory(*workspace_id);
            inventory.wants_witness = true;
            self.days(&inventory, *days, None, &mut result).await?;
        }
        self.session.save_quotas().await?;
        result.rest.run_id = self.session.publisher.run_id();
        result.elapsed = self.started.elapsed();
        Ok(result)
    }

    fn inventory(&self, workspace_id: i64) -> Inventory<'a> {
        let listed = self.workspaces.iter().find(|workspace| workspace.id == workspace_id);
        Inventory {
            client: self.session.client,
            publisher: self.session.publisher,
            workspace_id,
            user_id: self.session.account.id,
            is_admin: listed.is_some_and(Workspace::is_admin),
            wants_witness: false,
        }
    }

    async fn workspace(
        &self,
        workspace_id: i64,
        result: &mut VerifyResult,
    ) -> Result<(), SyncError> {
        let Self { session, days, .. } = self;
        let key = VerifyProgress::key(session.account.id, workspace_id);
        let saved: Option<VerifyProgress> = session.state.load(&key).await?;
        let now = session.client.now();
        let fits = |saved: &VerifyProgress| {
            (saved.from, saved.to) == (days.from, days.to)
                && is_within(saved.at, now, RESUME_WITHIN)
        };
        let progress = saved.filter(fits).unwrap_or(VerifyProgress {
            at: now,
            from: days.from,
            to: days.to,
            next: Some(days.from),
            inventory_ids: Vec::new(),
        });
        if !progress.inventory_ids.is_empty() {
            info!(
                target: REPORT,
                "Going on with the verification of workspace {workspace_id}; {} inventories are sent",
                progress.inventory_ids.len()
            );
        }
        result.inventory_ids.extend(&progress.inventory_ids);
        let Some(next) = progress.next else { return Ok(()) };
        let days = Days { from: next, to: days.to };
        self.days(&self.inventory(workspace_id), days, Some(progress), result).await
    }

    /// Span by span. Of an account that is told nothing there is none; one that broke off is no proof.
    async fn days(
        &self,
        inventory: &Inventory<'_>,
        days: Days,
        mut progress: Option<VerifyProgress>,
        result: &mut VerifyResult,
    ) -> Result<(), SyncError> {
        let (mut rest, mut most) = (Some(days), LONGEST);
        while let Some(left) = rest {
            let span = left.first(most);
            let mut tally = Tally::default();
            let taken = inventory.take(span, &mut tally).await;
            result.rest.add(&mut tally);
            let taken = match taken {
                Ok(taken) => taken,
                Err(Stopped::TooLong) if span.count() > 1 => {
                    most = span.count() / 2;
                    info!(
                        target: REPORT,
                        "The inventory of workspace {}, {span}, is too long to be held: {most} days at once",
                        inventory.workspace_id
                    );
                    continue;
                }
                Err(stopped) => return note_stopped(inventory.workspace_id, stopped, result),
            };
            if let Some(fault) = &taken.fault {
                let workspace_id = inventory.workspace_id;
                let reason = format!("workspace {workspace_id}, {span}: {fault}");
                result.rest.uncertain.push((inventory::resource().name, reason));
            }
            rest = left.after(span);
            result.inventory_ids.push(taken.inventory_id);
            if let Some(progress) = &mut progress {
                progress.at = self.session.client.now();
                progress.next = rest.map(|rest| rest.from);
                progress.inventory_ids.push(taken.inventory_id);
                let key = VerifyProgress::key(self.session.account.id, inventory.workspace_id);
                self.session.state.save(&key, progress).await?;
            }
            result.inventories.push((inventory.workspace_id, taken));
        }
        Ok(())
    }
}

/// What an error means for the run.
fn note_stopped(
    workspace_id: i64,
    stopped: Stopped,
    result: &mut VerifyResult,
) -> Result<(), SyncError> {
    let name = inventory::resource().name;
    let error = match stopped {
        Stopped::Run(error) => return Err(error),
        Stopped::TooLong => {
            let reason = format!("workspace {workspace_id}: the answer for one day is too long");
            result.rest.failed.push((name, reason));
            return Ok(());
        }
        Stopped::Toggl(error) => error,
    };
    if matches!(error, toggl::Error::Quota { .. }) {
        let sent = format!("{} inventories are sent", result.inventory_ids.len());
        return Err(SyncError::Quota { error, sent });
    }
    match error.disposition() {
        Disposition::Stop => Err(error.into()),
        Disposition::Skip => {
            let reason = format!("workspace {workspace_id}: {}", chain(&error));
            warn!(target: REPORT, "Cannot verify {reason}");
            result.rest.skipped.push((name, reason));
            Ok(())
        }
        Disposition::Retry(_) => {
            error!(target: REPORT, "Could not verify workspace {workspace_id}: {}", chain(&error));
            result.rest.failed.push((name, chain(&error)));
            Ok(())
        }
    }
}
