//! History from Reports v3: every entry of a workspace that the token may see, over any span of days.
//!
//! The days are read in spans of a year at most, each page by page in the order of the starts. A page
//! is sent as soon as it has come, and where the report is written down after that, so that it goes
//! on there whatever ended the run.

use std::collections::HashSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use shared::listing::Listing;
use shared::resource::Resource;
use shared::telemetry::REPORT;
use tracing::{info, warn};

mod claims;
mod days;
mod page;
mod scope;
mod span;
mod stopped;

use crate::outcome::Tally;
use crate::progress_bar::Progress;
use crate::publisher::Publisher;
use crate::state::{ReportProgress, SeenStarts, State, StateError, is_within};
use crate::toggl::Client;
use claims::Part;
use days::midnight;
pub(crate) use days::{FIRST_DAY, UnknownDays, looked_at};
pub(crate) use scope::Scope;
pub(crate) use stopped::Stopped;

/// A report that was read whole is not read again for this long while others of the same command are not.
const FINISHED_KEPT: Duration = Duration::from_hours(1);

/// One report.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) client: &'a Client,
    pub(crate) publisher: &'a Publisher,
    pub(crate) state: &'a State,
    pub(crate) resource: &'static Resource,
    pub(crate) workspace_id: i64,
    pub(crate) scope: Scope,
    /// First day.
    pub(crate) from: Date,
    /// Last day, inclusive; today if none.
    pub(crate) to: Option<Date>,
    pub(crate) today: Date,
    /// What tells it from other reports, where its days move on from one run to the next.
    pub(crate) label: Option<String>,
    /// What was read is gone on with for this long after its last page; none begins anew.
    pub(crate) resume_within: Option<Duration>,
}

impl Report<'_> {
    /// Reads the days and sends them. Goes on where the same report was interrupted; one that was finished is
    /// not read again until it is [forgotten](Self::forget).
    ///
    /// # Errors
    /// When Toggl or NATS fails. What was read before is sent.
    pub(crate) async fn run(&self, tally: &mut Tally) -> Result<(), Stopped> {
        let mut at = self.begin().await?;
        let ended = self.spans(&mut at, tally).await;
        tally.records += at.records;
        tally.uncertain.extend(at.doubts.drain(..).map(|doubt| (self.resource.name, doubt)));
        ended
    }

    /// The next run of the same report begins anew.
    ///
    /// # Errors
    /// When NATS fails.
    pub(crate) async fn forget(&self) -> Result<(), StateError> {
        self.state.forget(&self.key()).await
    }

    /// Where to begin.
    async fn begin(&self) -> Result<ReportProgress, StateError> {
        let now = self.client.now();
        let saved: Option<ReportProgress> = self.state.load(&self.key()).await?;
        let is_young = |saved: &ReportProgress| {
            let is_finished = saved.span_from > saved.to;
            let age = self
                .resume_within
                .map(|age| if is_finished { age.min(FINISHED_KEPT) } else { age });
            age.is_some_and(|age| is_within(saved.at, now, age))
        };
        let workspace_id = self.workspace_id;
        let mut at = match saved {
            Some(saved) if is_young(&saved) => saved,
            saved => {
                if let Some(at) = saved.filter(|_| self.resume_within.is_some()).map(|old| old.at) {
                    warn!(
                        target: REPORT,
                        "The report of workspace {workspace_id} that was interrupted at {} is too old to \
                         go on with; it begins anew",
                        at.strftime("%Y-%m-%d %H:%M UTC")
                    );
                }
                ReportProgress {
                    at: now,
                    to: self.to.unwrap_or(self.today),
                    span_from: self.from.max(FIRST_DAY),
                    cursor: None,
                    claimed_until: None,
                    records: 0,
                    doubts: Vec::new(),
                }
            }
        };
        if at.records > 0 {
            info!(
                target: REPORT,
                "Going on with the report of workspace {workspace_id} at {}, {} entries were sent",
                at.span_from, at.records
            );
        }
        // Days have passed since it was interrupted.
        at.to = at.to.max(self.to.unwrap_or(self.today));
        Ok(at)
    }

    fn key(&self) -> String {
        let scope = self.scope.key(self.workspace_id);
        if let Some(label) = &self.label {
            return format!("report.{scope}.{label}");
        }
        let to = self.to.map_or_else(|| "today".to_owned(), |to| to.to_string());
        format!("report.{scope}.{}.{to}", self.from)
    }

    async fn spans(&self, at: &mut ReportProgress, tally: &mut Tally) -> Result<(), Stopped> {
        let what = format!("Report of workspace {}", self.workspace_id);
        let days = Days { from: self.from.max(FIRST_DAY), to: at.to };
        let mut progress = Progress::new(what, days.part(midnight(at.span_from)));
        let key = format!(
            "reports.{}.{}",
            self.scope.key(self.workspace_id),
            if self.scope.claimed_user().is_none() { "whole" } else { "shown" }
        );
        let seen: Option<SeenStarts> = self.state.load(&key).await?;
        let mut seen = seen.unwrap_or_else(SeenStarts::by_days);
        while at.span_from <= at.to {
            let mut reading = span::Reading::begin(self, at, &seen);
            reading.run((days, &mut progress), tally).await?;
            if reading.note(&mut seen) {
                self.state.save(&key, &seen).await?;
            }
        }
        Ok(())
    }

    async fn save(&self, at: &ReportProgress) -> Result<(), StateError> {
        self.state.save(&self.key(), &ReportProgress { at: self.client.now(), ..at.clone() }).await
    }

    async fn send(&self, parts: Vec<Part>, tally: &mut Tally) -> Result<(), Stopped> {
        for Part { span, fetched_at, records, rejected } in parts {
            let (resource, workspace_id) = (self.resource, self.workspace_id);
            let listing = Listing { resource, workspace_id, fetched_at, span, records, rejected };
            tally.send(self.publisher, listing).await?;
        }
        Ok(())
    }
}

/// The days of a report, for telling how much of it is done.
#[derive(Debug, Clone, Copy)]
struct Days {
    from: Date,
    to: Date,
}

impl Days {
    /// The part of the days that lies before that moment, of 1.
    fn part(self, reached: Timestamp) -> f64 {
        let from = midnight(self.from);
        let length = midnight(self.to.saturating_add(1.day())).duration_since(from);
        reached.duration_since(from).div_duration_f64(length).clamp(0.0, 1.0)
    }
}

/// Entries of a page, to know one that comes again.
type Ids = HashSet<i64>;
