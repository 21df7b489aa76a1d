//! One span of a report, page by page, and what its answers prove.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::Date;
use shared::batch::Record;
use shared::telemetry::REPORT;
use tracing::{info, warn};

use super::claims::{Arrived, Claims};
use super::days::{Span, UnknownDays, certain};
use super::page::Answered;
use super::{Days, Ids, Report, Stopped};
use crate::outcome::Tally;
use crate::progress_bar::Progress;
use crate::state::Cursor;
use crate::state::{Emptiness, ReportProgress, SeenStarts};
use crate::toggl::Error;

/// Ten million rows in a span; a report with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// The reading of one span.
pub(super) struct Reading<'a> {
    report: &'a Report<'a>,
    at: &'a mut ReportProgress,
    span: Span,
    /// The starts that the span is there for.
    inside: (Timestamp, Timestamp),
    claims: Claims,
    emptiness: Emptiness,
    /// Whether an answer has come in this run.
    has_begun: bool,
    /// What the first answer said that Toggl looked at.
    looked_at: Option<Result<(Date, Date), UnknownDays>>,
    /// Entries of the last page.
    last_page: Ids,
    /// What has come, if this run has read the span from its beginning.
    seen: Option<Looked>,
}

/// What a run has seen of a span.
#[derive(Default)]
struct Looked {
    starts: Vec<Timestamp>,
    /// When the first page came; none before.
    at: Option<Timestamp>,
    is_whole: bool,
}

impl<'a> Reading<'a> {
    /// Goes on with the span that the report has come to.
    pub(super) fn begin(
        report: &'a Report<'a>,
        at: &'a mut ReportProgress,
        seen: &SeenStarts,
    ) -> Self {
        let span = Span::starting(at.span_from, at.to);
        let (from, to) = span.claimed();
        let user_id = report.scope.claimed_user();
        let claims = match at.cursor {
            None => Claims::new(from, to, user_id),
            Some(_) => Claims::resumed(at.claimed_until, to, user_id),
        };
        Self {
            report,
            span,
            inside: (from, to),
            claims,
            emptiness: seen.emptiness(from, to),
            has_begun: false,
            looked_at: None,
            last_page: Ids::new(),
            seen: at.cursor.is_none().then(Looked::default),
            at,
        }
    }

    /// Reads what is left of it.
    pub(super) async fn run(
        &mut self,
        (days, progress): (Days, &mut Progress),
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        let mut cursors = HashSet::new();
        let mut cursor = self.at.cursor.take();
        for _ in 0..MAX_PAGES {
            let answered = self.report.page(self.span, cursor).await.map_err(Stopped::Toggl)?;
            let Answered { arrived, next, looked_at } = answered;
            let reached = arrived.records.iter().filter_map(|record| record.started_at).max();
            let last_entry = arrived.records.last().map(|record| record.source_id);
            self.take(arrived, looked_at, tally).await?;
            match next.map(|next| next.seamed(last_entry)) {
                Some(next) if cursors.insert(next.clone()) => {
                    self.save(&next).await?;
                    progress.reached(days.part(reached.unwrap_or(self.inside.0)), self.at.records);
                    cursor = Some(next);
                }
                Some(_) => {
                    return Err(Stopped::Toggl(Error::Circular { path: self.report.path() }));
                }
                None => {
                    self.end().await?;
                    progress.reached(days.part(self.inside.1), self.at.records);
                    return Ok(());
                }
            }
        }
        Err(Stopped::Toggl(Error::Endless { path: self.report.path(), pages: MAX_PAGES }))
    }

    /// Sends a page, with what it proves.
    async fn take(
        &mut self,
        mut arrived: Arrived,
        looked_at: Option<Result<(Date, Date), UnknownDays>>,
        tally: &mut Tally,
    ) -> Result<(), Stopped> {
        if let Some(doubt) = self.doubt_of(&arrived, looked_at) {
            self.report.send(self.claims.abandon(doubt), tally).await?;
        }
        if arrived.cursor.as_ref().and_then(Cursor::repeated).is_some() {
            let known = std::mem::take(&mut self.last_page);
            arrived.records.retain(|record| !known.contains(&record.source_id));
        }
        self.last_page = arrived.records.iter().map(|record| record.source_id).collect();
        self.count(&arrived);
        let parts = self.claims.take(arrived);
        self.report.send(parts, tally).await
    }

    /// Why nothing from this page on may be claimed, if so.
    fn doubt_of(
        &mut self,
        arrived: &Arrived,
        looked_at: Option<Result<(Date, Date), UnknownDays>>,
    ) -> Option<&'static str> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.looked_at = looked_at;
            match looked_at {
                Some(Ok(days)) => self.claims.narrow(certain(days)),
                Some(Err(UnknownDays)) => return Some("which days Toggl looked at is unknown"),
                None => {}
            }
        }
        match &arrived.cursor {
            None => match self.emptiness {
                _ if !(arrived.is_empty() && arrived.is_last) => None,
                Emptiness::Believed => None,
                Emptiness::New => {
                    // Nobody has seen an entry there: nothing is to be claimed, and nothing is wrong.
                    info!(
                        target: REPORT,
                        "No entries from {} to {}: that counts as complete once two reports have said so",
                        self.span.from,
                        self.span.to
                    );
                    self.claims.narrow((self.inside.1, self.inside.1));
                    None
                }
                Emptiness::Doubted { .. } => Some("it is empty, and was not the last time"),
            },
            Some(_) if arrived.is_empty() => {
                warn!(
                    target: REPORT,
                    "Toggl named a next page in the span from {} and then sent none", self.span.from
                );
                Some("a page that Toggl named did not come")
            }
            Some(cursor) => {
                let first = arrived.records.first().map(|record| record.source_id);
                if !cursor.is_followed_by(first) {
                    Some("its rows moved while its pages were read")
                } else if self.looked_at.is_some() && looked_at != self.looked_at {
                    Some("Toggl looked at other days for a later page")
                } else {
                    None
                }
            }
        }
    }

    /// Entries inside the span; what is asked for beyond it belongs to its neighbours.
    fn count(&mut self, arrived: &Arrived) {
        let (from, to) = self.inside;
        let is_inside = |record: &&Record| {
            record.started_at.is_none_or(|at| from <= at && at < to && self.claims.is_new(at))
        };
        self.at.records += arrived.records.iter().filter(is_inside).count();
        if let Some(seen) = &mut self.seen {
            seen.at = seen.at.or(Some(arrived.fetched_at));
            for start in arrived.records.iter().filter_map(|record| record.started_at) {
                // One start of a day is enough.
                let is_new = seen.starts.last().is_none_or(|last| !is_same_day(*last, start));
                if from <= start && start < to && is_new {
                    seen.starts.push(start);
                }
            }
        }
    }

    /// What is held back comes again after an interruption.
    async fn save(&self, next: &Cursor) -> Result<(), Stopped> {
        let at = ReportProgress {
            cursor: self.claims.resume_at(Some(next.clone())),
            claimed_until: self.claims.until(),
            records: self.at.records.saturating_sub(self.claims.held_back()),
            ..self.at.clone()
        };
        Ok(self.report.save(&at).await?)
    }

    async fn end(&mut self) -> Result<(), Stopped> {
        let what = format!(
            "workspace {}, {} to {}",
            self.report.workspace_id, self.span.from, self.span.to
        );
        if let Some(doubt) = self.claims.doubt() {
            self.at.doubts.push(format!("{what}: {doubt}"));
        }
        if let Some(Ok((first, last))) = self.looked_at {
            let (from, to) = certain((first, last));
            if from > self.inside.0 || to < self.inside.1 {
                self.at.doubts.push(format!("{what}: Toggl looked only at {first} to {last}"));
            }
        }
        if let Some(seen) = &mut self.seen {
            seen.is_whole = true;
        }
        self.at.span_from = self.span.next_day();
        self.at.claimed_until = None;
        Ok(self.report.save(self.at).await?)
    }

    /// Remembers what was seen; whether there is something to remember.
    pub(super) fn note(self, memory: &mut SeenStarts) -> bool {
        let Some(Looked { starts, at: Some(at), is_whole: true }) = self.seen else {
            return false;
        };
        memory.note(self.inside, starts.into_iter(), at);
        true
    }
}

fn is_same_day(a: Timestamp, b: Timestamp) -> bool {
    a.as_second().div_euclid(86_400) == b.as_second().div_euclid(86_400)
}
