//! Whole listings: everything that is not read by windows of time.
//!
//! What a listing may claim is decided in [`proof`]: that it was read to its end, and that nothing in it
//! shifted meanwhile.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use shared::batch::{Record, Rejected};
use shared::listing::{Listing, Span};
use shared::resource::{Paging, Resource};
use shared::telemetry::MASTERS;
use tracing::info;

use crate::record::{Page, read_answer};
use crate::state::Seen;
use crate::toggl::{Answer, Client, Error};

mod changed;
mod pages;
mod proof;

use pages::{Next, Pages};
use proof::End;

/// Two million records; a listing with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// More unusable records than this, and more than a tenth of a listing, mean a changed shape.
const MAX_REJECTED: usize = 50;

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
            (Err(broken), Some(fallback)) if broken.error.is_closed() => {
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
                Err(Error::Unavailable { .. } | Error::Status { .. })
                    if self.resource.paging == Paging::Array && number > 1 =>
                {
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
        Paging::Object | Paging::Array | Paging::Windows | Paging::Report | Paging::Sums => 0,
    }
}
