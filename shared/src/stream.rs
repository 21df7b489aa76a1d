//! The JetStream stream and the key-value bucket, declared in code and brought up to date at every
//! start.
//!
//! Always create-or-update: "get or create" would silently ignore changed settings. Who only looks
//! needs no right to change: a stream that is as it should be is left alone, and one that this user
//! may not change is used as it is, with a warning.

use std::sync::Once;
use std::time::Duration;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use clap::Args;
use tracing::warn;

use crate::retry::{Delays, persist};
use crate::telemetry::NATS;

/// The stream that holds every batch.
pub const STREAM: &str = "TOGGL_TRACK_RAW";

/// What every subject begins with; the resource's name is the rest.
pub const SUBJECT_PREFIX: &str = "toggl_track.raw";

/// The key-value bucket in which a run of the fetcher tells the next what it needs.
pub const BUCKET: &str = "toggl_track_state";

/// The stream behind the bucket, by JetStream's convention.
pub fn bucket_stream() -> String {
    format!("KV_{BUCKET}")
}

/// A server that refuses a request for want of a permission does not answer it.
const PERMISSION_TIMEOUT: Duration = Duration::from_secs(3);

/// How long JetStream remembers message ids. A publish is repeated with its id for a minute at
/// most, so half an hour is ample; ids are held in the server's memory.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(30);

/// How long a starting process waits for JetStream to take its settings.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

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
    /// Puts our settings into the configuration of the stream; what else it holds, such as a
    /// placement, is the administrator's.
    fn settle_stream(&self, config: &mut Config) {
        config.description =
            Some("Toggl Track batches, the replayable log of the raw tables".to_owned());
        config.subjects = vec![format!("{SUBJECT_PREFIX}.*")];
        config.storage = StorageType::File;
        // WorkQueue and Interest delete what was acknowledged: nothing left to replay.
        config.retention = RetentionPolicy::Limits;
        // A full stream refuses loudly instead of dropping what no loader has read.
        config.discard = DiscardPolicy::New;
        config.max_age = self.stream_max_age;
        config.max_bytes = self.stream_max_bytes;
        config.max_messages = -1;
        config.max_messages_per_subject = -1;
        config.max_message_size = -1;
        config.max_consumers = -1;
        config.num_replicas = usize::from(self.replicas);
        config.duplicate_window = match self.stream_max_age {
            // The server refuses a window longer than the age.
            Duration::ZERO => DUPLICATE_WINDOW,
            max_age => DUPLICATE_WINDOW.min(max_age),
        };
        config.allow_direct = true;
    }

    /// The same for the bucket, which is a stream of one message a subject.
    fn settle_bucket(&self, config: &mut Config) {
        config.description =
            Some("What a run of the Toggl Track fetcher tells the next".to_owned());
        config.subjects = vec![format!("$KV.{BUCKET}.>")];
        config.storage = StorageType::File;
        config.discard = DiscardPolicy::New;
        // A run that comes late is to know how late it is.
        config.max_age = Duration::ZERO;
        config.max_messages_per_subject = 1;
        config.num_replicas = usize::from(self.replicas);
        config.allow_rollup = true;
        config.deny_delete = true;
        config.allow_direct = true;
    }
}

/// Creates the stream or brings its settings up to date.
///
/// # Errors
/// When the server refuses, with its reason: no JetStream, not enough storage, no permission.
pub async fn ensure_stream(context: &Context, args: &StreamArgs) -> Result<(), EnsureStreamError> {
    ensure(context, STREAM, |config| args.settle_stream(config)).await
}

/// Creates the bucket or brings its settings up to date.
///
/// # Errors
/// As [`ensure_stream`].
pub async fn ensure_bucket(context: &Context, args: &StreamArgs) -> Result<(), EnsureStreamError> {
    ensure(context, &bucket_stream(), |config| args.settle_bucket(config)).await
}

/// Waits out a cluster that is choosing a leader, and a server that is slow to answer.
async fn ensure(
    context: &Context,
    name: &str,
    settle: impl Fn(&mut Config),
) -> Result<(), EnsureStreamError> {
    let delays = Delays::within(FIRST_DELAY, LONGEST_DELAY, PATIENCE);
    let attempt = || Box::pin(try_ensure(context, name, &settle));
    // A request that is not answered may have met a line that broke; a second one is not permitted.
    let mut asked = false;
    let is_passing = |error: &EnsureStreamError| match error {
        EnsureStreamError::Missing { .. } => !std::mem::replace(&mut asked, true),
        error => error.is_passing(),
    };
    persist(delays, is_passing, attempt).await
}

async fn try_ensure(
    context: &Context,
    name: &str,
    settle: impl Fn(&mut Config),
) -> Result<(), EnsureStreamError> {
    let stream = name.to_owned();
    let changing = ContextBuilder::new().timeout(PERMISSION_TIMEOUT).build(context.client());
    let found = match context.get_stream(name).await {
        Ok(found) => found.cached_info().config.clone(),
        Err(error) if is_missing(&error) => {
            let mut config = Config { name: stream.clone(), ..Config::default() };
            settle(&mut config);
            // Two programs that start together create the same.
            return match changing.create_stream(config).await {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == CreateStreamErrorKind::TimedOut => {
                    Err(EnsureStreamError::Missing { stream })
                }
                Err(source) => Err(EnsureStreamError::Refused { stream, source }),
            };
        }
        Err(source) => return Err(EnsureStreamError::Lookup { stream, source }),
    };
    let mut wanted = found.clone();
    settle(&mut wanted);
    if wanted == found {
        return Ok(());
    }
    match changing.update_stream(wanted).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == CreateStreamErrorKind::TimedOut => {
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                warn!(
                    target: NATS,
                    "The stream {name} has other settings than these, and this user may not change \
                     it; going on with it as it is"
                );
            });
            Ok(())
        }
        Err(source) => Err(EnsureStreamError::Refused { stream, source }),
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Why a stream, or the bucket, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnsureStreamError {
    /// It could not be looked up.
    #[error("could not look up the stream {stream}; does this NATS user have the right to?")]
    Lookup {
        /// Its name.
        stream: String,
        /// What the client says.
        #[source]
        source: GetStreamError,
    },
    /// It is not there, and the server does not answer when it is to be created.
    #[error(
        "the stream {stream} is missing, and this NATS user may not create it: run `loader setup` \
         once as one who may"
    )]
    Missing {
        /// Its name.
        stream: String,
    },
    /// The server refuses to create it or to change its settings.
    #[error("could not create or change the stream {stream}")]
    Refused {
        /// Its name.
        stream: String,
        /// What the server says.
        #[source]
        source: CreateStreamError,
    },
}

impl EnsureStreamError {
    /// Whether it may succeed a little later: nobody answers, or a cluster has no leader yet.
    fn is_passing(&self) -> bool {
        let error = match self {
            Self::Lookup { source, .. } => match source.kind() {
                GetStreamErrorKind::Request => return true,
                GetStreamErrorKind::JetStream(error) => error,
                _ => return false,
            },
            Self::Refused { source, .. } => match source.kind() {
                CreateStreamErrorKind::JetStream(error) => error,
                _ => return false,
            },
            Self::Missing { .. } => return false,
        };
        matches!(
            error.error_code(),
            ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NOT_LEADER
        )
    }
}
