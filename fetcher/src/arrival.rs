//! Whether loaders have stored what was published: the consumer of each table tells how far they are.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use shared::catalogue;
use shared::retry::Delays;
use shared::stream::STREAM;
use shared::telemetry::PUBLISHER;
use tracing::debug;

use crate::publisher::Newest;

/// A loader takes some milliseconds for a batch.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Loaders did not come to it in time. It stays in the stream until they do.
#[derive(Debug, thiserror::Error)]
#[error(
    "published, but not stored within {}: {}; is a loader running? `loader status` says what holds it up",
    humantime::format_duration(*.patience),
    .resources.join(", ")
)]
pub(crate) struct NotStored {
    patience: Duration,
    resources: Vec<&'static str>,
}

/// Waits until everything up to the newest messages has been settled: its records stored, or kept as dead letters.
///
/// # Errors
/// When that takes longer than `patience`.
pub(crate) async fn until_stored(
    context: &Context,
    mut newest: Newest,
    patience: Duration,
) -> Result<(), NotStored> {
    match tokio::time::timeout(patience, settled(context, &mut newest)).await {
        Ok(()) => Ok(()),
        Err(_) => Err(NotStored { patience, resources: newest.into_keys().collect() }),
    }
}

/// Until nothing is ahead. NATS may be away for a while, and the consumers come with the first loader.
async fn settled(context: &Context, ahead: &mut Newest) {
    let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
    loop {
        if let Ok(stream) = context.get_stream_no_info(STREAM).await {
            for (resource, sequence) in ahead.clone() {
                if is_settled(&stream, resource, sequence).await {
                    ahead.remove(resource);
                }
            }
        }
        if ahead.is_empty() {
            return;
        }
        tokio::time::sleep(delays.next_delay().unwrap_or(LONGEST_DELAY)).await;
    }
}

/// Whether the consumer has settled this message and all before it.
async fn is_settled(stream: &Stream<()>, resource: &str, sequence: u64) -> bool {
    let Some(resource) = catalogue::find(resource) else {
        return true;
    };
    match stream.consumer_info(resource.consumer()).await {
        Ok(consumer) => consumer.ack_floor.stream_sequence >= sequence,
        Err(error) => {
            debug!(target: PUBLISHER, %error, "Cannot tell how far {} is", resource.consumer());
            false
        }
    }
}
