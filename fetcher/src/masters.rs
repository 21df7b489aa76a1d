//! Whole listings: everything that is not read by windows of time.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use shared::batch::{Record, Rejected};
use shared::listing::{Listing, Span};
use shared::resource::{Claim, Paging, Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::{info, warn};

use crate::record::{Page, read_answer};
use crate::toggl::{Client, Error};

/// Two million records; a listing with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// More unusable records than this, and more than a tenth of a listing, mean a changed shape.
const MAX_REJECTED: usize = 50;

/// A listing that broke off: what was read of it, which claims nothing, and the page to go on with.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: Error,
    pub(crate) read: Listing,
    pub(crate) next_page: usize,
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

/// Reads a listing from a page on, 1 for all of it. `workspace_id` is asked where the resource is a
/// workspace's. An empty answer that would claim something is asked for again before it is believed.
///
/// # Errors
/// When any page fails, with what was read before.
pub(crate) async fn fetch(
    client: &Client,
    resource: &'static Resource,
    workspace_id: i64,
    first_page: usize,
) -> Result<Listing, Box<Broken>> {
    let once = |path| fetch_once(client, resource, workspace_id, first_page, path);
    let fetched = match (once(resource.path).await, resource.fallback_path) {
        (Err(broken), Some(fallback)) if matches!(broken.error, Error::Unavailable { .. }) => {
            info!(target: MASTERS, "{} is closed, asking {fallback}", resource.path);
            once(fallback).await?
        }
        (fetched, _) => fetched?,
    };
    if fetched.records.is_empty() && fetched.span != Span::Partial {
        warn!(target: MASTERS, "Toggl lists no {}, asking once more", resource.name);
        return once(resource.path).await;
    }
    Ok(fetched)
}

async fn fetch_once(
    client: &Client,
    resource: &'static Resource,
    workspace_id: i64,
    first_page: usize,
    path: &str,
) -> Result<Listing, Box<Broken>> {
    let asked_id = workspace_id.to_string();
    let workspace_id = match resource.scope {
        Scope::Account => 0,
        Scope::Workspace => workspace_id,
    };
    let path = format!("{}{}", resource.api.prefix(), path.replace("{workspace}", &asked_id));
    let mut read = Listing {
        resource,
        workspace_id,
        fetched_at: Timestamp::now(),
        span: Span::Partial,
        records: Vec::new(),
        rejected: Vec::new(),
    };
    let (mut seen, mut ids) = (0, HashSet::new());
    for number in first_page..first_page.saturating_add(MAX_PAGES) {
        let (fetched_at, page) = match fetch_page(client, resource, &path, number).await {
            Ok(page) => page,
            Err(error) => return Err(Box::new(Broken { error, read, next_page: number })),
        };
        if number == first_page {
            read.fetched_at = fetched_at;
        }
        seen += page.count;
        let known = ids.len();
        ids.extend(page.records.iter().map(|record| record.source_id));
        if page.records.len() > 1 && ids.len() == known {
            let error = Error::Circular { path };
            return Err(Box::new(Broken { error, read, next_page: number }));
        }
        // Of a listing that was begun by an earlier run nobody knows how much that had seen.
        let total = page.total.filter(|_| first_page == 1);
        let more = has_more(resource.paging, &page, total, seen);
        read.records.extend(page.records);
        read.rejected.extend(page.rejected);
        if !more {
            if let Err(error) = check_shape(&path, read.records.len(), &read.rejected) {
                let read = Listing { records: Vec::new(), rejected: Vec::new(), ..read };
                return Err(Box::new(Broken { error, read, next_page: first_page }));
            }
            let is_whole = first_page == 1 && total.is_none_or(|total| seen >= total);
            let span = match resource.claim {
                Claim::Ids if is_whole => Span::Ids,
                _ => Span::Partial,
            };
            let Listing { fetched_at, records, rejected, .. } = read;
            return Ok(listing(resource, workspace_id, fetched_at, span, records, rejected));
        }
    }
    let error = Error::Endless { path, pages: MAX_PAGES };
    Err(Box::new(Broken { error, read, next_page: first_page }))
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

/// Records of a full page; 0 where there are no pages.
const fn page_size(resource: &Resource) -> usize {
    match resource.paging {
        Paging::Pages(size) | Paging::Envelope(size) => size,
        Paging::Object | Paging::Array | Paging::Windows | Paging::Report => 0,
    }
}

/// Whether a page follows; `seen` records have come with this one. In an envelope Toggl may hold fewer
/// in a page than it was asked for: what counts is how many there are, or else an empty page.
fn has_more(paging: Paging, page: &Page, total: Option<usize>, seen: usize) -> bool {
    match paging {
        Paging::Envelope(_) => page.count > 0 && total.is_none_or(|total| seen < total),
        Paging::Pages(size) => page.count >= size,
        Paging::Object | Paging::Array | Paging::Windows | Paging::Report => false,
    }
}

async fn fetch_page(
    client: &Client,
    resource: &Resource,
    path: &str,
    number: usize,
) -> Result<(Timestamp, Page), Error> {
    let mut query = resource.query.to_vec();
    let (page, per_page);
    if page_size(resource) > 0 {
        (page, per_page) = (number.to_string(), page_size(resource).to_string());
        query.extend([("page", page.as_str()), ("per_page", per_page.as_str())]);
    }
    let answer = client.get(path, &query).await?;
    let page = read_answer(client, resource, path, &answer.body)?;
    Ok((answer.fetched_at, page))
}
