//! The pages of one listing: what follows each, and what all of them together may claim.

use std::collections::HashSet;

use jiff::SignedDuration;
use shared::exit::chain;
use shared::listing::{Listing, Span};
use shared::resource::{Claim, Paging, Scope};

use super::proof::{self, Begun, End, Steadiness};
use super::{Asking, Broken, Fetched, ask, check_shape, listing, page_size};
use crate::record::Page;
use crate::state::Seen;
use crate::toggl::{Answer, Error};

/// How much further back than the last reading changes are asked for: more than clocks that are taken for equal
/// differ by.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

/// What follows a page.
pub(super) enum Next {
    Page,
    End,
    /// Nothing in it was new: it would go on for ever.
    Circle,
}

/// The pages of a listing so far.
pub(super) struct Pages<'a> {
    asking: Asking<'a>,
    read: Listing,
    ids: HashSet<i64>,
    /// Rows that came, usable or not.
    rows: usize,
    first_page: usize,
    /// Pages with rows in them.
    filled: usize,
    pub(super) end: End,
    steadiness: Steadiness,
}

impl<'a> Pages<'a> {
    pub(super) fn new(asking: Asking<'a>, first_page: usize) -> Self {
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

    pub(super) fn take(&mut self, (answer, page): (Answer, Page)) -> Next {
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
            Paging::Object | Paging::Windows | Paging::Report | Paging::Sums => Some(End::Proven),
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
        let (first, last) = (self.ids.iter().min().copied(), self.ids.iter().max().copied());
        let is_as_before = before.is_like(self.rows, first, last);
        let is_enough = is_as_before && !before.wants_proof(self.read.fetched_at);
        is_enough.then_some(End::AsBefore)
    }

    pub(super) fn broken(self, error: Error, next_page: usize) -> Box<Broken> {
        Box::new(Broken { error, read: self.read, next_page })
    }

    pub(super) async fn finish(self, path: &str) -> Result<Fetched, Box<Broken>> {
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
        if !self.asking.resource.claim.is_by_listing() {
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
                chain(&error)
            )),
        }
    }
}
