//! The copies of the stream: databases that get every batch as well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use futures::StreamExt as _;
use serde::Serialize;
use shared::consumer::CopyName;
use shared::stream::STREAM;
use shared::telemetry::SUBSCRIBER;
use tracing::debug;

use super::error::LookError;

/// A server that refuses a request for want of a permission does not answer it.
const LIMIT: Duration = Duration::from_millis(1_500);
/// Then it is asked no more for so long.
const PAUSE: Duration = Duration::from_mins(10);

/// What waits for a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CopyLag {
    pub(crate) name: String,
    /// Batches that it has not loaded.
    pub(crate) unloaded: u64,
}

/// Looks for copies, unless it may not.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    refused: Option<Instant>,
}

impl Copies {
    /// By name; none where it may not be asked.
    pub(crate) async fn look(&mut self, context: &Context) -> Vec<CopyLag> {
        if self.refused.is_some_and(|refused| refused.elapsed() < PAUSE) {
            return Vec::new();
        }
        match tokio::time::timeout(LIMIT, ask(context)).await {
            Ok(Ok(copies)) => copies,
            Ok(Err(error)) => {
                debug!(target: SUBSCRIBER, %error, "Could not look for copies");
                Vec::new()
            }
            Err(_) => {
                debug!(target: SUBSCRIBER, "This NATS user may not list consumers; copies are not shown");
                self.refused = Some(Instant::now());
                Vec::new()
            }
        }
    }
}

async fn ask(context: &Context) -> Result<Vec<CopyLag>, LookError> {
    let stream = context.get_stream(STREAM).await?;
    let mut copies = BTreeMap::new();
    let mut names = stream.consumer_names();
    while let Some(name) = names.next().await {
        let name = name.map_err(|error| LookError::Lost(error.into()))?;
        let Some((copy, _)) = name.strip_prefix("copy_").and_then(|rest| rest.split_once("__"))
        else {
            continue;
        };
        if copy.parse::<CopyName>().is_err() {
            continue;
        }
        let info = stream.consumer_info(&name).await?;
        let in_flight = u64::try_from(info.num_ack_pending).unwrap_or_default();
        *copies.entry(copy.to_owned()).or_insert(0) += info.num_pending + in_flight;
    }
    Ok(copies.into_iter().map(|(name, unloaded)| CopyLag { name, unloaded }).collect())
}
