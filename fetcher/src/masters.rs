//! Whole listings: everything that is not read by windows of time.

use jiff::Timestamp;
use shared::batch::Record;
use shared::listing::{Listing, Span};
use shared::resource::{Claim, Paging, Resource, Scope};
use shared::telemetry::MASTERS;
use tracing::{info, warn};

use crate::record::{Page, Unusable, read_page};
use crate::toggl::{Client, Error};

/// Two million records; a listing with more pages goes round in circles.
const MAX_PAGES: usize = 10_000;

/// A listing, and what in it cannot be used. With unusable records the listing claims nothing: it
/// could not vouch that what it lacks is gone.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) listing: Listing,
    pub(crate) unusable: Vec<Unusable>,
}

impl Fetched {
    /// `span` is what the listing may claim if every record is usable.
    pub(crate) fn new(
        resource: &'static Resource,
        workspace_id: i64,
        fetched_at: Timestamp,
        span: Span,
        records: Vec<Record>,
        unusable: Vec<Unusable>,
    ) -> Self {
        let span = if unusable.is_empty() { span } else { Span::Partial };
        Self {
            listing: Listing {
                resource,
                workspace_id,
                fetched_at,
                span,
                records,
                rejected: Vec::new(),
            },
            unusable,
        }
    }
}

/// Reads every page of a resource. `workspace_id` is asked where the resource is a workspace's.
/// An empty answer that would claim something is asked for again before it is believed.
///
/// # Errors
/// When any page fails.
pub(crate) async fn fetch(
    client: &Client,
    resource: &'static Resource,
    workspace_id: i64,
) -> Result<Fetched, Error> {
    let mut fetched = fetch_once(client, resource, workspace_id, resource.path).await;
    if let (Err(Error::Unavailable { .. }), Some(fallback)) = (&fetched, resource.fallback_path) {
        info!(target: MASTERS, "{} is closed, asking {fallback}", resource.path);
        fetched = fetch_once(client, resource, workspace_id, fallback).await;
    }
    let fetched = fetched?;
    if fetched.listing.records.is_empty() && fetched.listing.span != Span::Partial {
        warn!(target: MASTERS, "Toggl lists no {}, asking once more", resource.name);
        return fetch_once(client, resource, workspace_id, resource.path).await;
    }
    Ok(fetched)
}

async fn fetch_once(
    client: &Client,
    resource: &'static Resource,
    workspace_id: i64,
    path: &str,
) -> Result<Fetched, Error> {
    let workspace_id = match resource.scope {
        Scope::Account => 0,
        Scope::Workspace => workspace_id,
    };
    let path = path.replace("{workspace}", &workspace_id.to_string());
    let path = format!("{}{path}", resource.api.prefix());
    let mut records = Vec::new();
    let mut unusable = Vec::new();
    let mut first_fetched_at = None;
    for number in 1..=MAX_PAGES {
        let (fetched_at, page) = fetch_page(client, resource, &path, number).await?;
        let full = matches!(resource.paging, Paging::Pages(size) if page.count >= size);
        records.extend(page.records);
        unusable.extend(page.unusable);
        let fetched_at = *first_fetched_at.get_or_insert(fetched_at);
        if !full {
            let span = match resource.claim {
                Claim::Ids => Span::Ids,
                Claim::Nothing | Claim::Starts => Span::Partial,
            };
            return Ok(Fetched::new(resource, workspace_id, fetched_at, span, records, unusable));
        }
    }
    Err(Error::Endless { path, pages: MAX_PAGES })
}

async fn fetch_page(
    client: &Client,
    resource: &Resource,
    path: &str,
    number: usize,
) -> Result<(Timestamp, Page), Error> {
    let mut query = resource.query.to_vec();
    let (page, per_page);
    if let Paging::Pages(size) = resource.paging {
        (page, per_page) = (number.to_string(), size.to_string());
        query.extend([("page", page.as_str()), ("per_page", per_page.as_str())]);
    }
    let answer = client.get(path, &query).await?;
    let page = read_page(resource, &answer.body)
        .map_err(|source| Error::Body { path: path.to_owned(), source })?;
    Ok((answer.fetched_at, page))
}
