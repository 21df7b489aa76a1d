//! What Toggl has tried to deliver while nobody listened, where it tells.

use jiff::{SignedDuration, Timestamp};
use shared::exit::chain;
use shared::telemetry::WEBHOOKS;
use tracing::{info, warn};

use super::bell::{Bell, Rung};
use super::doors::Doors;
use crate::toggl::{Client, Error};
use crate::webhooks::{Webhooks, events_of};

/// Pages that are read at most, each of its own length: what is older a report brings.
const MOST_PAGES: usize = 20;
/// Events come out of order.
const MARGIN: SignedDuration = SignedDuration::from_mins(15);

/// Rings for every event since the last one that an earlier program has heard.
///
/// # Errors
/// When Toggl refuses the token.
pub(super) async fn catch_up(client: &Client, doors: &Doors, bell: &Bell) -> Result<(), Error> {
    for door in doors.iter() {
        let known = bell.heard_at(door.workspace_id).zip(door.subscription_id());
        let Some((heard_at, subscription_id)) = known else { continue };
        let since = heard_at.checked_sub(MARGIN).unwrap_or(heard_at);
        let webhooks = Webhooks { client, workspace_id: door.workspace_id };
        match read(webhooks, subscription_id, since, bell).await {
            Ok(0) => {}
            Ok(count) => info!(
                target: WEBHOOKS,
                "{count} events of workspace {} came while nobody listened", door.workspace_id
            ),
            Err(error @ Error::Credentials { .. }) => return Err(error),
            // Not every Toggl tells.
            Err(error) if error.is_closed() => info!(
                target: WEBHOOKS,
                "Toggl does not tell what it has delivered since {heard_at:.0}: others' changes of that time come \
                 with the next report of these days"
            ),
            Err(error) => warn!(
                target: WEBHOOKS,
                "Could not read what Toggl has delivered since {heard_at:.0}: {}", chain(&error)
            ),
        }
    }
    Ok(())
}

/// How many of the events were news. They are in an order that nobody documents, so a page ends the reading only if
/// all of it is old.
async fn read(
    webhooks: Webhooks<'_>,
    subscription_id: i64,
    since: Timestamp,
    bell: &Bell,
) -> Result<usize, Error> {
    let (mut offset, mut count) = (0, 0);
    for _ in 0..MOST_PAGES {
        let page = webhooks.tried(subscription_id, offset).await?;
        let bodies = page.events.unwrap_or_default();
        let mut has_new = false;
        for event in events_of(&bodies) {
            if event.at.is_some_and(|at| at >= since) {
                has_new = true;
                let event =
                    crate::webhooks::Event { subscription_id: Some(subscription_id), ..event };
                count += usize::from(bell.ring(webhooks.workspace_id, &event) == Rung::Once);
            }
        }
        offset += bodies.len();
        let is_last = bodies.is_empty() || page.total.is_some_and(|total| offset >= total);
        if is_last || !has_new {
            break;
        }
    }
    Ok(count)
}
