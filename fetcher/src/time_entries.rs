//! The token owner's time entries, by windows of their start, and what has changed since.
//!
//! `/me/time_entries` has no pages and silently returns about a thousand entries at most, the newest
//! starts first: whoever gets that many goes on before the oldest of them. Its bounds are instants, not dates: a bare
//! `end_date` is exclusive there, and a date would be cut in a time zone that nobody documents.

use jiff::Timestamp;
use shared::batch::Record;
use shared::listing::{Listing, Span};
use shared::resource::Resource;
use shared::telemetry::TIME_ENTRIES;
use tracing::debug;

use crate::lists::{check_shape, listing};
use crate::record::read_answer;
use crate::toggl::{Client, Error};
use crate::window::Window;

mod chosen;

pub(crate) use chosen::of_workspaces;

/// Answers with this many entries may have been cut off: Toggl's cap is "about 1,000".
const SAFE_COUNT: usize = 950;

/// Toggl answers for three calendar months at most; this many days are always within them, today
/// included.
pub(crate) const FLOOR_DAYS: u32 = 85;

/// An answer that may have been cut off, and what is to be asked for in its place.
enum Cut {
    /// What came is all there is from this start on; before it, and in its very second, there may be more.
    From(Timestamp),
    /// In no order that tells what is missing.
    Anywhere,
}

/// Reads windows in as many requests as the cap makes necessary, newest first, and hands over each
/// answer as soon as it is complete: each is a listing of its own.
pub(crate) struct Windows<'a> {
    client: &'a Client,
    resource: &'static Resource,
    user_id: i64,
    ahead: Vec<Window>,
    crowded: Vec<Timestamp>,
}

impl<'a> Windows<'a> {
    /// The last of the windows is read first.
    pub(crate) const fn new(
        client: &'a Client,
        resource: &'static Resource,
        user_id: i64,
        windows: Vec<Window>,
    ) -> Self {
        Self { client, resource, user_id, ahead: windows, crowded: Vec::new() }
    }

    /// What has not been read yet, a window whose request failed included.
    pub(crate) fn ahead(&self) -> &[Window] {
        &self.ahead
    }

    /// Seconds that hold more entries than Toggl returns; what it did return was handed over, and claims
    /// nothing.
    pub(crate) fn crowded(&self) -> &[Timestamp] {
        &self.crowded
    }

    /// The next answer and the window that it is complete for, or none at the end.
    ///
    /// # Errors
    /// When a request fails.
    pub(crate) async fn next(&mut self) -> Result<Option<(Window, Listing)>, Error> {
        while let Some(window) = self.ahead.last().copied() {
            let (count, fetched) = self.fetch(window).await?;
            self.ahead.pop();
            if count < SAFE_COUNT && !may_be_cap(count) {
                return Ok(Some((window, fetched)));
            }
            match cut(window, &fetched.records) {
                Cut::From(start) => return Ok(Some(self.go_on_before(start, window, fetched))),
                Cut::Anywhere => {
                    let Some([later, earlier]) = window.halves() else {
                        self.crowded.push(window.from);
                        return Ok(Some((window, Listing { span: Span::Partial, ..fetched })));
                    };
                    self.ahead.extend([earlier, later]);
                }
            }
        }
        Ok(None)
    }

    /// Goes on where an answer was cut: the second in which it was is asked for again, with what lies before
    /// it. One that fills an answer by itself cannot be read whole.
    fn go_on_before(
        &mut self,
        start: Timestamp,
        window: Window,
        fetched: Listing,
    ) -> (Window, Listing) {
        let next = Window { to: after_second_of(start), ..window };
        debug!(target: TIME_ENTRIES, "Too many entries for one answer, going on at {start}");
        if next.to < window.to {
            self.ahead.push(next);
            let read = Window { from: next.to, to: window.to };
            return (read, self.of_window(read, fetched));
        }
        let second = Timestamp::from_second(start.as_second()).unwrap_or(start);
        self.crowded.push(second);
        if window.from < second {
            self.ahead.push(Window { to: second, ..window });
        }
        (Window { from: second, to: window.to }, Listing { span: Span::Partial, ..fetched })
    }

    /// The part of an answer that begins in this window, which it is complete for.
    fn of_window(&self, window: Window, fetched: Listing) -> Listing {
        let Listing { resource, workspace_id, fetched_at, records, rejected, .. } = fetched;
        let is_inside = |record: &Record| record.started_at.is_none_or(|at| window.contains(at));
        let records = records.into_iter().filter(is_inside).collect();
        listing(resource, workspace_id, fetched_at, self.span(window), records, rejected)
    }

    const fn span(&self, Window { from, to }: Window) -> Span {
        Span::Starts { from, to, user_id: Some(self.user_id) }
    }

    async fn fetch(&self, window: Window) -> Result<(usize, Listing), Error> {
        let (start, end) = (window.from.to_string(), window.to.to_string());
        let query = [("start_date", start.as_str()), ("end_date", end.as_str())];
        ask(self.client, self.resource, &query, self.span(window)).await
    }
}

/// Whether an answer of this length may have been cut off at another cap than the one that is known.
const fn may_be_cap(count: usize) -> bool {
    count >= 100 && count.is_multiple_of(50)
}

/// Where an answer was cut off that may have been: Toggl lists the newest starts first, as its own rows must
/// show.
fn cut(window: Window, records: &[Record]) -> Cut {
    let starts: Vec<_> = records.iter().map(|record| record.started_at).collect();
    match starts.last() {
        Some(Some(oldest)) if starts.is_sorted_by(|a, b| a >= b) && window.contains(*oldest) => {
            Cut::From(*oldest)
        }
        _ => Cut::Anywhere,
    }
}

/// The beginning of the next second.
fn after_second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_add(1)).unwrap_or(at)
}

/// What has changed since a moment, deleted entries too, whenever they started; and whether that is
/// all: where Toggl may have cut the answer off, only whole windows can tell.
///
/// # Errors
/// When the request fails.
pub(crate) async fn changes(
    client: &Client,
    resource: &'static Resource,
    since: Timestamp,
) -> Result<(Listing, bool), Error> {
    let since = since.as_second().to_string();
    let query = [("since", since.as_str())];
    let (count, fetched) = ask(client, resource, &query, Span::Partial).await?;
    Ok((fetched, count < SAFE_COUNT))
}

async fn ask(
    client: &Client,
    resource: &'static Resource,
    query: &[(&str, &str)],
    span: Span,
) -> Result<(usize, Listing), Error> {
    let path = format!("{}{}", resource.api.prefix(), resource.path);
    let answer = client.get(&path, query).await?;
    let page = read_answer(client, resource, &path, &answer.body)?;
    check_shape(&path, page.records.len(), &page.rejected)?;
    let fetched = listing(resource, 0, answer.fetched_at, span, page.records, page.rejected);
    Ok((page.count, fetched))
}

#[cfg(test)]
mod tests;
