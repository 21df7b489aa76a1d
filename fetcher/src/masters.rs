//! Whole listings: everything that is not read by windows of time.
//!
//! What a listing may claim is decided in [`proof`]: that it was read to its end, and that nothing in it
//! shifted meanwhile.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use shared::batch::{Record, Rejected};
use shared::listing::{Listing, Span};
use shared::resource::{Claim, Paging, Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::info;

use crate::record::{Page, read_answer};
use crate::state::Seen;
use crate::toggl::{Answer, Client, Error};

mod proof;

use proof::{Begun, End, Steadiness};

/// Two million records; a listing with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// More unusable records than this, and more than a tenth of a listing, mean a changed shape.
const MAX_REJECTED: usize = 50;

/// How much further back than the last reading changes are asked for: more than clocks that are taken for equal
/// differ by.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

/// A listing that was read to its end.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    /// Why it claims nothing although its resource's listings usually do.
    pub(crate) doubt: Option<String>,
    /// What the next run compares with; none where this one saw only a part.
    pub(crate) seen: Option<Seen>,
}

/// A listing that broke off: what was read of it, which claims nothing, and the page to go on with.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: Error,
    pub(crate) read: Listing,
    pub(crate) next_page: usize,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) client: &'a Client,
    pub(crate) resource: &'static Resource,
    /// Asked where the resource is a workspace's.
    pub(crate) workspace_id: i64,
    /// What an earlier run saw of the same listing.
    pub(crate) before: Option<&'a Seen>,
}

/// What was read of a listing. With rejected records, or some pages only, it claims nothing: it could
/// not vouch that what it lacks is gone.
pub(crate) fn listing(
    resource: &'static Resource,
    workspace_id: i64,
    fetched_at: Timestamp,
    span: Span,
    records: Vec<Record>,
    rejected: Vec<Rejected>,
) -> Listing {
    let span = if rejected.is_empty() { span } else { Span::Partial };
    Listing { resource, workspace_id, fetched_at, span, records, rejected }
}

/// Fails where so many records cannot be used that their shape must have changed.
pub(crate) fn check_shape(path: &str, usable: usize, rejected: &[Rejected]) -> Result<(), Error> {
    let count = usable + rejected.len();
    match rejected.first() {
        Some(first) if rejected.len() > MAX_REJECTED && rejected.len() * 10 > count => {
            Err(Error::Shape {
                path: path.to_owned(),
                count,
                rejected: rejected.len(),
                reason: first.reason.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// The records of a listing, as what the caller wants to know of them.
///
/// # Errors
/// When one of them is something else.
pub(crate) fn decode<T: DeserializeOwned>(
    client: &Client,
    listing: &Listing,
) -> Result<Vec<T>, Error> {
    let path = listing.resource.path;
    let records = listing.records.iter().map(|record| {
        serde_json::from_slice(&record.data)
            .map_err(|error| client.misfit(path, &record.data, &error))
    });
    records.collect()
}

impl Asking<'_> {
    /// Reads a listing from a page on, 1 for all of it.
    ///
    /// # Errors
    /// When any page fails, with what was read before.
    pub(crate) async fn fetch(self, first_page: usize) -> Result<Fetched, Box<Broken>> {
        let Resource { path, fallback_path, .. } = *self.resource;
        match (self.fetch_from(path, first_page).await, fallback_path) {
            (Err(broken), Some(fallback)) if matches!(broken.error, Error::Unavailable { .. }) => {
                info!(target: MASTERS, "{path} is closed, asking {fallback}");
                self.fetch_from(fallback, first_page).await
            }
            (fetched, _) => fetched,
        }
    }

    async fn fetch_from(self, path: &str, first_page: usize) -> Result<Fetched, Box<Broken>> {
        let asked_id = self.workspace_id.to_string();
        let path = path.replace("{workspace}", &asked_id);
        let path = format!("{}{path}", self.resource.api.prefix());
        let mut pages = Pages::new(self, first_page);
        for number in first_page..first_page.saturating_add(MAX_PAGES) {
            let page = match self.page(&path, number).await {
                Ok(page) => page,
                // A list without pages may refuse to be asked for a second one.
                Err(_) if self.resource.paging == Paging::Array && number > 1 => {
                    pages.end = End::Unknown;
                    return pages.finish(&path).await;
                }
                Err(error) => return Err(pages.broken(error, number)),
            };
            match pages.take(page) {
                Next::Page => {}
                Next::End => return pages.finish(&path).await,
                Next::Circle => return Err(pages.broken(Error::Circular { path }, number)),
            }
        }
        Err(pages.broken(Error::Endless { path, pages: MAX_PAGES }, first_page))
    }

    async fn page(self, path: &str, number: usize) -> Result<(Answer, Page), Error> {
        let mut query = self.resource.query.to_vec();
        let (page, per_page) = (number.to_string(), page_size(self.resource).to_string());
        if page_size(self.resource) > 0 {
            query.extend([("page", page.as_str()), ("per_page", per_page.as_str())]);
        } else if number > 1 {
            // Of the size that Toggl has chosen for the first.
            query.push(("page", page.as_str()));
        }
        ask(self.client, self.resource, path, &query).await
    }
}

async fn ask(
    client: &Client,
    resource: &Resource,
    path: &str,
    query: &[(&str, &str)],
) -> Result<(Answer, Page), Error> {
    let answer = client.get(path, query).await?;
    let page = read_answer(client, resource, path, &answer.body)?;
    Ok((answer, page))
}

/// Records of a full page; 0 where there are no pages.
const fn page_size(resource: &Resource) -> usize {
    match resource.paging {
        Paging::Pages(size) | Paging::Envelope(size) => size,
        Paging::Object | Paging::Array | Paging::Windows | Paging::Report => 0,
    }
}

/// What follows a page.
enum Next {
    Page,
    End,
    /// Nothing in it was new: it would go on for ever.
    Circle,
}

/// The pages of a listing so far.
struct Pages<'a> {
    asking: Asking<'a>,
    read: Listing,
    ids: HashSet<i64>,
    /// Rows that came, usable or not.
    rows: usize,
    first_page: usize,
    /// Pages with rows in them.
    filled: usize,
    end: End,
    steadiness: Steadiness,
}

impl<'a> Pages<'a> {
    fn new(asking: Asking<'a>, first_page: usize) -> Self {
        let read = Listing {
            resource: asking.resource,
            workspace_id: match asking.resource.scope {
                Scope::Account => 0,
                Scope::Workspace => asking.workspace_id,
            },
            fetched_at: asking.client.now(),
            span: Span::Partial,
            records: Vec::new(),
            rejected: Vec::new(),
        };
        let (ids, steadiness) = (HashSet::new(), Steadiness::default());
        Self { asking, read, ids, rows: 0, first_page, filled: 0, end: End::Unknown, steadiness }
    }

    fn take(&mut self, (answer, page): (Answer, Page)) -> Next {
        if self.filled == 0 && self.rows == 0 {
            self.read.fetched_at = answer.fetched_at;
        }
        let known = self.ids.len();
        self.ids.extend(page.records.iter().map(|record| record.source_id));
        let is_old = self.ids.len() == known;
        if is_old
            && page.count > 0
            && self.filled > 0
            && self.asking.resource.paging == Paging::Array
        {
            // It has no pages: this is the first once more.
            self.end = End::Proven;
            return Next::End;
        }
        if page.records.len() > 1 && is_old {
            return Next::Circle;
        }
        self.steadiness.repeated |= self.ids.len() < known + page.records.len();
        self.steadiness.waited |= answer.waited_for_quota;
        self.steadiness.note_total(page.total);
        self.rows += page.count;
        self.filled += usize::from(page.count > 0);
        let next = self.after(&page);
        self.read.records.extend(page.records);
        self.read.rejected.extend(page.rejected);
        next
    }

    /// Whether another page is to be asked for after this one, whose rows are counted already.
    fn after(&mut self, page: &Page) -> Next {
        // Of a listing that was begun by an earlier run nobody knows how much that had seen.
        let is_whole = self.first_page == 1;
        let end = match self.asking.resource.paging {
            Paging::Object | Paging::Windows | Paging::Report => Some(End::Proven),
            Paging::Envelope(_) => match page.total.filter(|_| is_whole) {
                Some(total) if self.rows >= total => Some(End::Proven),
                Some(_) if page.count == 0 => Some(End::Missing),
                None if page.count == 0 => Some(End::Proven),
                _ => None,
            },
            _ if page.count == 0 => Some(End::Proven),
            Paging::Pages(size) if page.count >= size => None,
            Paging::Pages(_) => self.end_of_short_page(page),
            Paging::Array if page.records.is_empty() => Some(End::Unknown),
            Paging::Array if self.filled == 1 && !proof::is_page_size(page.count) => {
                Some(End::Proven)
            }
            Paging::Array => self.end_of_short_page(page).filter(|end| *end != End::FirstLook),
        };
        match end {
            Some(end) => {
                self.end = end;
                Next::End
            }
            None => Next::Page,
        }
    }

    /// How sure it is that nothing follows a page that is not full; none where the next page must tell.
    fn end_of_short_page(&self, page: &Page) -> Option<End> {
        if self.first_page > 1 {
            return None;
        }
        let Some(before) = self.asking.before else {
            // Full pages before it show that Toggl takes the size that was asked for.
            let may_be_full = self.filled == 1 && proof::is_page_size(page.count);
            return (!may_be_full).then_some(End::FirstLook);
        };
        let (first, last) = self.ids.iter().fold((None, None), |(first, last), id| {
            (first.min(Some(*id)).or(Some(*id)), last.max(Some(*id)))
        });
        let is_as_before = before.is_like(self.rows, first, last);
        let is_enough = is_as_before && !before.wants_proof(self.read.fetched_at);
        is_enough.then_some(End::AsBefore)
    }

    fn broken(self, error: Error, next_page: usize) -> Box<Broken> {
        Box::new(Broken { error, read: self.read, next_page })
    }

    async fn finish(self, path: &str) -> Result<Fetched, Box<Broken>> {
        if let Err(error) = check_shape(path, self.read.records.len(), &self.read.rejected) {
            let first_page = self.first_page;
            let read = Listing { records: Vec::new(), rejected: Vec::new(), ..self.read };
            return Err(Box::new(Broken { error, read, next_page: first_page }));
        }
        let (may_claim, doubt) = self.verdict(path).await;
        let Self { asking, read, ids, rows, first_page, end, .. } = self;
        let is_whole = first_page == 1 && !matches!(end, End::Missing | End::Unknown);
        let seen = is_whole.then(|| {
            let seen = Seen::of(rows, ids.iter().copied(), read.fetched_at);
            let seen = if end == End::Proven { seen.proven() } else { seen };
            seen.after(asking.before)
        });
        let span = match asking.resource.claim {
            Claim::Ids if may_claim => Span::Ids,
            _ => Span::Partial,
        };
        let Listing { resource, workspace_id, fetched_at, records, rejected, .. } = read;
        let listing = listing(resource, workspace_id, fetched_at, span, records, rejected);
        Ok(Fetched { listing, doubt, seen })
    }

    /// Whether the listing may claim, and what is wrong where it may not.
    async fn verdict(&self, path: &str) -> (bool, Option<String>) {
        if self.asking.resource.claim == Claim::Nothing {
            return (false, None);
        }
        if self.first_page > 1 {
            return (false, Some("an earlier run has read its first pages".to_owned()));
        }
        match self.end {
            End::Proven | End::AsBefore => {}
            End::FirstLook => return (false, None),
            End::Missing => return (false, Some("it ended before its own total".to_owned())),
            End::Unknown => return (false, Some("it may go on beyond its first page".to_owned())),
        }
        if self.rows == 0 {
            return proof::of_emptiness(self.asking.before);
        }
        if self.filled < 2 {
            return (true, None);
        }
        match self.shift(path).await {
            None => (true, None),
            shift => (false, shift),
        }
    }

    /// What may have moved between pages that stand by their number, if anything.
    async fn shift(&self, path: &str) -> Option<String> {
        if let Some(words) = self.steadiness.trouble() {
            return Some(words.to_owned());
        }
        let resource = self.asking.resource;
        if !resource.lists_changes {
            return Some(
                "it has several pages, and Toggl does not tell what changed meanwhile".to_owned(),
            );
        }
        let uncertainty = self.asking.client.clock_uncertainty();
        let begun = Begun { at: self.read.fetched_at, uncertainty };
        // A list of another length than before is to be explained, too: a row may go without a word.
        let grown = self.asking.before.filter(|before| before.count != self.rows);
        let since = grown.map_or_else(
            || begun.earliest(),
            |before| Begun { at: before.at, uncertainty: LOOK_BACK }.earliest(),
        );
        let (text, per_page) = (since.as_second().to_string(), page_size(resource).to_string());
        let mut query = resource.query.to_vec();
        query.extend([("since", text.as_str()), ("page", "1"), ("per_page", per_page.as_str())]);
        match ask(self.asking.client, resource, path, &query).await {
            Ok((_, changes)) if !begun.is_quiet(&changes, &self.read.records) => {
                Some("something in it changed while its pages were read".to_owned())
            }
            Ok((_, changes)) => {
                let explained = grown.is_none_or(|before| {
                    changes.count < page_size(resource)
                        && proof::explains(&changes, before.count, self.rows)
                });
                (!explained).then(|| "its length changed, and Toggl does not tell why".to_owned())
            }
            Err(error) => Some(format!(
                "whether something in it changed while its pages were read is unknown: {}",
                shared::exit::chain(&error)
            )),
        }
    }
}
