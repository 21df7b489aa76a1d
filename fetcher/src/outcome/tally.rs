//! What became of the records of one resource.

use shared::listing::Listing;
use shared::telemetry::ORCHESTRATOR;
use tracing::warn;

use crate::publisher::{PublishError, Publisher};

/// What became of the records of one resource.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Sent.
    pub(crate) records: usize,
    pub(crate) rejected: Vec<(&'static str, Option<i64>, String)>,
    pub(crate) unsent: Vec<(&'static str, i64)>,
    /// Why it may not be all there is.
    pub(crate) uncertain: Vec<(&'static str, String)>,
}

impl Tally {
    /// Publishes a listing, and notes and reports what in it could not be used or sent. Answers how
    /// many records were acknowledged.
    pub(crate) async fn send(
        &mut self,
        publisher: &Publisher,
        listing: Listing,
    ) -> Result<usize, PublishError> {
        let name = listing.resource.name;
        let rejected: Vec<_> =
            listing.rejected.iter().map(|r| (name, r.source_id, r.reason.clone())).collect();
        let published = publisher.publish(listing).await?;
        for (name, id, reason) in &rejected {
            let id = id.map_or_else(|| "without id".to_owned(), |id| id.to_string());
            warn!(target: ORCHESTRATOR, "Record {id} of {name} cannot be used: {reason}; sent as a dead letter");
        }
        for id in published.too_large {
            warn!(
                target: ORCHESTRATOR,
                "Record {id} of {name} was not sent: it is larger than the NATS server's max_payload"
            );
            self.unsent.push((name, id));
        }
        self.rejected.extend(rejected);
        Ok(published.records)
    }
}
