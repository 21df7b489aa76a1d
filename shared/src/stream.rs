//! The JetStream stream and consumers, declared in code and brought up to date at every start.
//!
//! Always create-or-update: "get or create" would silently ignore changed settings.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::CreateStreamError;
use async_nats::jetstream::stream::{
    Config, ConsumerError, DiscardPolicy, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{self, Context};
use clap::Args;

use crate::resource::Resource;

/// The stream that holds every batch.
pub const STREAM: &str = "TOGGL_TRACK_RAW";

/// What every subject begins with; the resource's name is the rest.
pub const SUBJECT_PREFIX: &str = "toggl_track.raw";

/// How long JetStream remembers message ids. A publish is repeated with its id for a minute at
/// most, so half an hour is ample; ids are held in the server's memory.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(30);

/// Messages of one table that all loaders together may hold unacknowledged.
const MAX_ACK_PENDING: i64 = 16;

/// Settings of the stream. Whoever starts applies them, so both binaries want the same.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamArgs {
    /// How long batches stay replayable; 0s keeps them until --stream-max-bytes.
    #[arg(long, env = "STREAM_MAX_AGE", default_value = "365d", value_parser = humantime::parse_duration, global = true)]
    pub stream_max_age: Duration,
    /// Size in bytes at which the stream refuses new batches; -1 for no limit.
    #[arg(long, env = "STREAM_MAX_BYTES", default_value_t = 4 * 1024 * 1024 * 1024, allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-1..), global = true)]
    pub stream_max_bytes: i64,
    /// Copies of the stream in a JetStream cluster: 1 alone, 3 on a cluster.
    #[arg(long, env = "STREAM_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5), global = true)]
    pub replicas: u8,
}

impl StreamArgs {
    /// The whole configuration of the stream.
    pub fn config(&self) -> Config {
        Config {
            name: STREAM.to_owned(),
            description: Some(
                "Toggl Track batches, the replayable log of the raw tables".to_owned(),
            ),
            subjects: vec![format!("{SUBJECT_PREFIX}.*")],
            storage: StorageType::File,
            // WorkQueue and Interest delete what was acknowledged: nothing left to replay.
            retention: RetentionPolicy::Limits,
            // A full stream refuses loudly instead of dropping what no loader has read.
            discard: DiscardPolicy::New,
            max_age: self.stream_max_age,
            max_bytes: self.stream_max_bytes,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            num_replicas: usize::from(self.replicas),
            duplicate_window: match self.stream_max_age {
                // The server refuses a window longer than the age.
                Duration::ZERO => DUPLICATE_WINDOW,
                max_age => DUPLICATE_WINDOW.min(max_age),
            },
            allow_direct: true,
            ..Config::default()
        }
    }
}

/// Creates the stream or brings its settings up to date.
///
/// # Errors
/// When the server refuses, with its reason: no JetStream, not enough storage, no permission.
pub async fn ensure_stream(context: &Context, args: &StreamArgs) -> Result<(), CreateStreamError> {
    context.create_or_update_stream(args.config()).await.map(drop)
}

/// The settings of the durable consumer of a table.
pub fn consumer_config(resource: &Resource, ack_wait: Duration) -> pull::Config {
    pull::Config {
        durable_name: Some(resource.consumer()),
        description: Some(format!("loads raw.{}", resource.table())),
        filter_subject: resource.subject(),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        // A finite number skips data silently once it is reached.
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        ..pull::Config::default()
    }
}

/// Reads an `ack_wait`: a second at least, below which every batch would be delivered twice, and an
/// hour at most, for a batch that a dead loader held waits that long.
///
/// # Errors
/// When the text is not a duration, or out of these bounds.
pub fn ack_wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait) {
        Ok(wait)
    } else {
        Err("must lie between 1s and 1h".to_owned())
    }
}

/// Creates a table's consumer or brings its settings up to date.
///
/// # Errors
/// When the stream is missing or the server refuses.
pub async fn ensure_consumer(
    context: &Context,
    resource: &Resource,
    ack_wait: Duration,
) -> Result<PullConsumer, EnsureConsumerError> {
    let stream = context.get_stream(STREAM).await?;
    Ok(stream.create_consumer(consumer_config(resource, ack_wait)).await?)
}

/// Why a consumer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EnsureConsumerError {
    /// The stream could not be looked up.
    #[error("could not look up stream {STREAM}")]
    Stream(#[from] jetstream::context::GetStreamError),
    /// The consumer was refused.
    #[error("could not create the consumer")]
    Consumer(#[from] ConsumerError),
}
