//! History from Reports v3: every entry of a workspace that the token may see, over any span of days.
//!
//! The days are read in spans of a year at most, each page by page in the order of the starts. A page
//! is sent as soon as it has come, and where the report is written down after that, so that it goes
//! on there whatever ended the run.

use std::collections::HashSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use shared::listing::Listing;
use shared::resource::Resource;
use shared::telemetry::REPORT;
use tracing::{info, warn};

mod claims;
mod cursor;
mod days;

use crate::masters::check_shape;
use crate::outcome::{SyncError, Tally};
use crate::progress::Progress;
use crate::publisher::{PublishError, Publisher};
use crate::record::{Page, read_answer};
use crate::state::{ReportProgress, State, StateError};
use crate::toggl::{Client, Error};
use claims::{Arrived, Claims, Part};
pub(crate) use cursor::Cursor;
use days::{FIRST_DAY, LAST_DAY, Span, midnight};

/// Rows of a page. Toggl takes more, but how many nobody says; with a quota of requests fewer would
/// cost.
const PAGE_SIZE: usize = 1_000;
/// Ten million rows in a span; a report with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// Whose entries a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody's that the token may see. What it may claim is the owner's own, unless the owner is
    /// an admin: others are not shown everybody's entries.
    Workspace {
        /// The token's owner.
        user_id: i64,
        is_admin: bool,
    },
    /// The token owner's own.
    User(i64),
}

impl Scope {
    const fn claimed_user(self) -> Option<i64> {
        match self {
            Self::Workspace { is_admin: true, .. } => None,
            Self::Workspace { user_id, .. } | Self::User(user_id) => Some(user_id),
        }
    }

    fn key(self, workspace_id: i64, from: Date, to: Option<Date>) -> String {
        let (user_id, scope) = match self {
            Self::Workspace { user_id, .. } => (user_id, "all"),
            Self::User(user_id) => (user_id, "own"),
        };
        let to = to.map_or_else(|| "today".to_owned(), |to| to.to_string());
        format!("report.{user_id}.{workspace_id}.{scope}.{from}.{to}")
    }
}

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
}

/// Why a report stopped. The next run goes on there.
#[derive(Debug)]
pub(crate) enum Stopped {
    Toggl(Error),
    Run(SyncError),
}

impl From<StateError> for Stopped {
    fn from(error: StateError) -> Self {
        Self::Run(error.into())
    }
}

impl From<jiff::Error> for Stopped {
    fn from(error: jiff::Error) -> Self {
        Self::Run(error.into())
    }
}

impl From<PublishError> for Stopped {
    fn from(error: PublishError) -> Self {
        Self::Run(error.into())
    }
}

impl Report<'_> {
    /// Reads the days and sends them. Goes on where the same report was interrupted, unless `restart`;
    /// one that was finished is not read again until it is [forgotten](Self::forget).
    ///
    /// # Errors
    /// When Toggl or NATS fails. What was read before is sent.
    pub(crate) async fn run(&self, restart: bool, tally: &mut Tally) -> Result<(), Stopped> {
        let saved = if restart { None } else { self.state.load(&self.key()).await? };
        let mut at: ReportProgress = match saved {
            Some(saved) => saved,
            None => ReportProgress {
                to: self.to.unwrap_or(self.today).min(LAST_DAY),
                span_from: self.from.max(FIRST_DAY),
                cursor: None,
                claimed_until: None,
                records: 0,
                gaps: false,
            },
        };
        if at.records > 0 {
            info!(
                target: REPORT,
                "Going on with the report of workspace {} at {}, {} entries were sent",
                self.workspace_id, at.span_from, at.records
            );
        }
        if self.to.is_none() {
            // Days have passed since it was interrupted.
            at.to = at.to.max(self.today.min(LAST_DAY));
        }
        let ended = self.spans(&mut at, tally).await;
        tally.records += at.records;
        if at.gaps {
            let reason = "a page that Toggl named did not come".to_owned();
            tally.incomplete.push((self.resource.name, reason));
        }
        ended
    }

    /// The next run of the same report begins anew.
    ///
    /// # Errors
    /// When NATS fails.
    pub(crate) async fn forget(&self) -> Result<(), StateError> {
        self.state.forget(&self.key()).await
    }

    fn key(&self) -> String {
        self.scope.key(self.workspace_id, self.from, self.to)
    }

    async fn spans(&self, at: &mut ReportProgress, tally: &mut Tally) -> Result<(), Stopped> {
        let what = format!("Report of workspace {}", self.workspace_id);
        let days = Days { from: self.from.max(FIRST_DAY), to: at.to };
        let mut progress = Progress::new(what, days.part(midnight(at.span_from)));
        while at.span_from <= at.to {
            self.span(at, days, &mut progress, tally).await?;
        }
        Ok(())
    }

    /// Reads what is left of one span.
    async fn span(
        &self,
        at: &mut ReportProgress,
        days: Days,
        progress: &mut Progress,
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        let key = &self.key();
        let span = Span::starting(at.span_from, at.to);
        let (from, to) = span.claimed();
        let user_id = self.scope.claimed_user();
        let mut claims = match at.cursor {
            None => Claims::new(from, to, user_id),
            Some(_) => Claims::resumed(at.claimed_until, to, user_id),
        };
        let mut seen = HashSet::new();
        let mut cursor = at.cursor.take();
        for _ in 0..MAX_PAGES {
            let (arrived, next) = self.page(span, cursor).await.map_err(Stopped::Toggl)?;
            let reached = arrived.records.iter().filter_map(|record| record.started_at).max();
            // What is asked for beyond the span belongs to its neighbours.
            let inside = |start: Timestamp| from <= start && start < to && claims.is_new(start);
            at.records +=
                arrived.records.iter().filter(|r| r.started_at.is_none_or(inside)).count();
            let parts = if arrived.cursor.is_some() && arrived.is_empty() {
                warn!(
                    target: REPORT,
                    "Toggl named a next page in the span from {} and then sent none; nothing beyond \
                     is taken for complete", span.from
                );
                at.gaps = true;
                claims.abandon()
            } else {
                claims.take(arrived)
            };
            self.send(parts, tally).await?;
            if next.as_ref().is_some_and(|next| !next.is_certain()) {
                // By its number alone a page begins later once an entry before it is gone.
                self.send(claims.abandon(), tally).await?;
            }
            match next {
                Some(next) if seen.insert(next.clone()) => {
                    // What is held back comes again after an interruption.
                    let reached_for_sure = ReportProgress {
                        cursor: claims.resume_at(Some(next.clone())),
                        claimed_until: claims.until(),
                        records: at.records.saturating_sub(claims.held_back()),
                        ..at.clone()
                    };
                    self.state.save(key, &reached_for_sure).await?;
                    progress.reached(days.part(reached.unwrap_or(from)), at.records);
                    cursor = Some(next);
                }
                Some(_) => {
                    return Err(Stopped::Toggl(Error::Circular { path: self.path() }));
                }
                None => {
                    at.span_from = span.next_day();
                    at.claimed_until = None;
                    self.state.save(key, at).await?;
                    progress.reached(days.part(to), at.records);
                    return Ok(());
                }
            }
        }
        Err(Stopped::Toggl(Error::Endless { path: self.path(), pages: MAX_PAGES }))
    }

    /// A page and the cursor of the next. An empty one is asked for again before it is believed.
    async fn page(
        &self,
        span: Span,
        cursor: Option<Cursor>,
    ) -> Result<(Arrived, Option<Cursor>), Error> {
        let (arrived, next) = self.page_once(span, cursor.clone()).await?;
        if arrived.is_empty() { self.page_once(span, cursor).await } else { Ok((arrived, next)) }
    }

    async fn page_once(
        &self,
        span: Span,
        cursor: Option<Cursor>,
    ) -> Result<(Arrived, Option<Cursor>), Error> {
        let path = self.path();
        let answer = self.client.post(&path, &self.question(span, cursor.as_ref())).await?;
        let Page { records, rejected, .. } =
            read_answer(self.client, self.resource, &path, &answer.body)?;
        check_shape(&path, records.len(), &rejected)?;
        let next = Cursor::after(&answer.headers).map_err(|_| Error::NextPage { path })?;
        let (fetched_at, is_last) = (answer.fetched_at, next.is_none());
        Ok((Arrived { cursor, fetched_at, records, rejected, is_last }, next))
    }

    fn path(&self) -> String {
        let path = self.resource.path.replace("{workspace}", &self.workspace_id.to_string());
        format!("{}{path}", self.resource.api.prefix())
    }

    /// Rounding is off: else Toggl rounds durations as the user's preferences say.
    fn question(&self, span: Span, cursor: Option<&Cursor>) -> Value {
        let (from, to) = span.asked();
        let mut question = json!({
            "start_date": from.to_string(),
            "end_date": to.to_string(),
            "order_by": "date",
            "order_dir": "ASC",
            "grouped": false,
            "rounding": 0,
            "rounding_minutes": 0,
            "hide_amounts": false,
            "enrich_response": false,
            "page_size": PAGE_SIZE,
        });
        if let Some(fields) = question.as_object_mut() {
            if let Scope::User(user_id) = self.scope {
                fields.insert("user_ids".to_owned(), json!([user_id]));
            }
            if let Some(cursor) = cursor {
                cursor.ask(fields);
            }
        }
        question
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
