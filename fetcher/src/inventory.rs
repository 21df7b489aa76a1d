//! Inventories: what Toggl's own sums say is there, for the tables to be held against.
//!
//! One request a year and workspace tells the ids of all entries, and how long they took. What the answer
//! proves is decided here: one that is cut, empty without a witness, or of another shape is sent as such,
//! so that whoever looks at the verdict sees that there is none.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::catalogue;
use shared::exit::chain;
use shared::listing::{Listing, Span as Claimed};
use shared::resource::Resource;
use shared::telemetry::REPORT;
use tracing::{info, warn};

mod answer;
mod days;
mod rows;

use self::answer::{Cells, Summary};
pub(crate) use self::days::{Days, LONGEST};
use self::rows::Rows;
use crate::outcome::{SyncError, Tally};
use crate::publisher::{PublishError, Publisher};
use crate::report::looked_at;
use crate::toggl::{Client, Error};

/// The longest answer that is held, and several times as much in memory. Hundreds of thousands of entries fit; of
/// more, fewer days are asked for at once.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Who asks, of which workspace.
#[derive(Debug)]
pub(crate) struct Inventory<'a> {
    pub(crate) client: &'a Client,
    pub(crate) publisher: &'a Publisher,
    pub(crate) workspace_id: i64,
    /// The token's owner.
    pub(crate) user_id: i64,
    /// Whether that user is told of everybody's entries.
    pub(crate) is_admin: bool,
    /// Whether the sum of all is asked for, too, even where the ids need no witness.
    pub(crate) wants_witness: bool,
}

/// What an inventory of some days found. It is sent.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) inventory_id: i64,
    pub(crate) days: Days,
    pub(crate) entries: usize,
    pub(crate) seconds: i64,
    /// Why it proves nothing, if so.
    pub(crate) fault: Option<String>,
}

/// Why an inventory was not taken.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Toggl tells this account nothing, or nothing now.
    Toggl(Error),
    /// The answer is longer than is held: half as many days may be asked for.
    TooLong,
    Run(SyncError),
}

impl From<PublishError> for Stopped {
    fn from(error: PublishError) -> Self {
        Self::Run(error.into())
    }
}

/// An answer, or why there is none that proves anything.
struct Found {
    fetched_at: Timestamp,
    counted: Result<Rows, String>,
}

impl Inventory<'_> {
    /// Asks for these days, and sends what was found.
    pub(crate) async fn take(&self, days: Days, tally: &mut Tally) -> Result<Taken, Stopped> {
        let Found { fetched_at, counted } = self.count(days).await?;
        let (rows, fault) = match counted {
            Ok(rows) => (rows, None),
            Err(fault) => (self.rows(days, true), Some(fault)),
        };
        if let Some(fault) = &fault {
            warn!(target: REPORT, "The inventory of workspace {}, {days}, proves nothing: {fault}", self.workspace_id);
        }
        let (inventory_id, entries, seconds) =
            (rows.inventory_id(), rows.entries(), rows.seconds());
        let records = rows.into_records(self.is_admin, fault.as_deref()).map_err(encode)?;
        let (resource, workspace_id) = (resource(), self.workspace_id);
        let (span, rejected) = (Claimed::Partial, Vec::new());
        let listing = Listing { resource, workspace_id, fetched_at, span, records, rejected };
        tally.send(self.publisher, listing).await?;
        if fault.is_none() {
            info!(target: REPORT, "Counted {entries} entries of workspace {workspace_id}, {days}");
        }
        Ok(Taken { inventory_id, days, entries, seconds, fault })
    }

    fn rows(&self, days: Days, has_ids: bool) -> Rows {
        Rows::new((self.workspace_id, self.user_id), days, has_ids)
    }

    async fn count(&self, days: Days) -> Result<Found, Stopped> {
        let path = self.path("summary/time_entries");
        let (from, to) = days.asked();
        let question = json!({
            "start_date": from, "end_date": to, "rounding": 0, "rounding_minutes": 0, "grouping": "users",
            "sub_grouping": "time_entries", "include_time_entry_ids": true,
        });
        let answer = match self.client.post_for(&path, &question, MOST_BYTES).await {
            Ok(answer) => answer,
            Err(error) => return self.no_answer(error),
        };
        let fetched_at = answer.fetched_at;
        let found = |counted| Ok(Found { fetched_at, counted });
        if let Some(fault) = days.fault(looked_at(&answer.headers)) {
            return found(Err(fault));
        }
        let summary = match Summary::read(&answer.body) {
            Ok(summary) => summary,
            Err(error) => {
                return found(Err(chain(&self.client.misfit(&path, &answer.body, &error))));
            }
        };
        let has_ids = summary.has_ids();
        let counted = if has_ids {
            let mut rows = self.rows(days, true);
            summary.fill(&mut rows).map(|()| rows)
        } else {
            info!(target: REPORT, "Toggl tells no ids of workspace {}, {days}: sums have to do", self.workspace_id);
            self.sums(days).await?
        };
        let rows = match counted {
            Ok(rows) => rows,
            Err(fault) => return found(Err(fault)),
        };
        if self.wants_witness || !has_ids || rows.is_empty() {
            let fault = self.contradiction(days, rows.seconds()).await?;
            return found(fault.map_or(Ok(rows), Err));
        }
        found(Ok(rows))
    }

    /// Sums by person and project.
    async fn sums(&self, days: Days) -> Result<Result<Rows, String>, Stopped> {
        let path = self.path("projects/summary");
        let (from, to) = days.asked();
        let question = json!({"start_date": from, "end_date": to});
        let answer = match self.client.post(&path, &question).await {
            Ok(answer) => answer,
            Err(error) => return self.no_answer(error).map(|found| found.counted),
        };
        Ok(match Cells::read(&answer.body) {
            Ok(cells) => {
                let mut rows = self.rows(days, false);
                cells.fill(&mut rows);
                Ok(rows)
            }
            Err(error) => Err(chain(&self.client.misfit(&path, &answer.body, &error))),
        })
    }

    /// What the sum of all entries says against what was counted, if anything.
    async fn contradiction(&self, days: Days, counted: i64) -> Result<Option<String>, Stopped> {
        let path = self.path("search/time_entries/totals");
        let answer = match self.client.post(&path, &question(days)).await {
            Ok(answer) => answer,
            Err(error) => {
                let found = self.no_answer(error)?;
                return Ok(found.counted.err());
            }
        };
        let total = match serde_json::from_slice::<answer::Totals>(&answer.body) {
            Ok(totals) => totals.seconds,
            Err(error) => {
                return Ok(Some(chain(&self.client.misfit(&path, &answer.body, &error))));
            }
        };
        Ok((total != counted).then(|| {
            format!(
                "its entries take {counted} seconds, and Toggl's total is {total}: it is not whole, or \
                 somebody was changing entries"
            )
        }))
    }

    /// What an error means: that the account is told nothing, or that this answer is no proof.
    fn no_answer(&self, error: Error) -> Result<Found, Stopped> {
        match error {
            Error::TooLarge { .. } => Err(Stopped::TooLong),
            Error::Credentials { .. } | Error::Quota { .. } | Error::Unavailable { .. } => {
                Err(Stopped::Toggl(error))
            }
            error => Ok(Found { fetched_at: self.client.now(), counted: Err(chain(&error)) }),
        }
    }

    fn path(&self, what: &str) -> String {
        format!("{}/workspace/{}/{what}", resource().api.prefix(), self.workspace_id)
    }
}

/// Rounding is off: else Toggl rounds durations as the user's preferences say.
fn question(days: Days) -> Value {
    let (from, to) = days.asked();
    json!({"start_date": from, "end_date": to, "rounding": 0, "rounding_minutes": 0})
}

fn encode(error: serde_json::Error) -> Stopped {
    Stopped::Run(crate::state::StateError::from(error).into())
}

/// The catalogue's row of inventories.
#[expect(clippy::expect_used, reason = "a test of the catalogue holds it to have the row")]
pub(crate) fn resource() -> &'static Resource {
    catalogue::find("inventories").expect("the catalogue has inventories")
}
