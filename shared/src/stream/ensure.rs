//! Making the stream and the bucket, or bringing their settings up to date.

use std::sync::Once;
use std::time::Duration;

use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError,
};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, ErrorCode};
use tracing::warn;

use super::{STATE_MAX_BYTES, STREAM, StreamArgs, bucket_stream};
use crate::retry::{Delays, persist};
use crate::telemetry::NATS;

/// A server that refuses a request for want of a permission does not answer it.
pub(super) const PERMISSION_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a starting process waits for JetStream to take its settings.
const PATIENCE: Duration = Duration::from_secs(30);
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Creates the stream or brings its settings up to date.
///
/// # Errors
/// When the server refuses, with its reason: no JetStream, not enough storage, no permission.
pub async fn ensure_stream(context: &Context, args: &StreamArgs) -> Result<(), EnsureStreamError> {
    ensure(context, STREAM, |config, is_new| args.settle_stream(config, is_new)).await
}

/// Creates the bucket or brings its settings up to date.
///
/// # Errors
/// As [`ensure_stream`].
pub async fn ensure_bucket(context: &Context, args: &StreamArgs) -> Result<(), EnsureStreamError> {
    ensure(context, &bucket_stream(), |config, is_new| args.settle_bucket(config, is_new)).await
}

/// Waits out a cluster that is choosing a leader, and a server that is slow to answer.
async fn ensure(
    context: &Context,
    name: &str,
    settle: impl Fn(&mut Config, bool),
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
    settle: impl Fn(&mut Config, bool),
) -> Result<(), EnsureStreamError> {
    let stream = name.to_owned();
    let mut changing = context.clone();
    changing.set_timeout(PERMISSION_TIMEOUT);
    let Some(found) = find(context, name).await? else {
        let mut config = Config { name: stream.clone(), ..Config::default() };
        settle(&mut config, true);
        // Two programs that start together create the same.
        return match create(&changing, config).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == CreateStreamErrorKind::TimedOut => {
                Err(EnsureStreamError::Missing { stream })
            }
            Err(source) => Err(EnsureStreamError::refused(stream, source)),
        };
    };
    let mut wanted = found.clone();
    settle(&mut wanted, false);
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
        Err(source) => Err(EnsureStreamError::refused(stream, source)),
    }
}

/// A bucket without a size gets one where the account wants that; the stream has one anyway.
pub(super) async fn create(context: &Context, config: Config) -> Result<(), CreateStreamError> {
    let is_unsized_bucket = config.max_bytes <= 0 && config.max_messages_per_subject == 1;
    let sized = Config { max_bytes: STATE_MAX_BYTES, ..config.clone() };
    match context.create_stream(config).await {
        Err(error) if is_unsized_bucket && wants_size(&error) => {
            context.create_stream(sized).await.map(drop)
        }
        created => created.map(drop),
    }
}

fn wants_size(error: &CreateStreamError) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_MAX_BYTES_REQUIRED)
}

/// The settings of a stream, if it is there.
pub(super) async fn find(
    context: &Context,
    name: &str,
) -> Result<Option<Config>, EnsureStreamError> {
    match context.get_stream(name).await {
        Ok(found) => Ok(Some(found.cached_info().config.clone())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(source) => Err(EnsureStreamError::Lookup { stream: name.to_owned(), source }),
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// The setting that a refusal is about.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
        | STREAM_TOO_LARGE => {
            ": the server or the account has less room than that; lower STREAM_MAX_BYTES (and \
             STATE_MAX_BYTES), or raise max_file_store of NATS"
        }
        ErrorCode::STREAM_MAX_BYTES_REQUIRED => {
            ": this account wants a size for each stream; set STREAM_MAX_BYTES and STATE_MAX_BYTES"
        }
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
            ": there is no cluster to keep so many copies; set STREAM_REPLICAS to 1"
        }
        _ => "",
    }
}

/// "stream max bytes exceeds account limit max stream bytes".
const STREAM_TOO_LARGE: ErrorCode = ErrorCode(10122);

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
    /// It is not there, and JetStream could not be asked whether it may be made.
    #[error("could not ask for the stream {stream}; does the server have JetStream?")]
    Probe {
        /// Its name.
        stream: String,
        /// What the client says.
        #[source]
        source: RequestError,
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
    #[error("could not create or change the stream {stream}{advice}")]
    Refused {
        /// Its name.
        stream: String,
        /// The setting that mends it, where one does.
        advice: &'static str,
        /// What the server says.
        #[source]
        source: CreateStreamError,
    },
}

impl EnsureStreamError {
    pub(super) fn refused(stream: String, source: CreateStreamError) -> Self {
        let code = match source.kind() {
            CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
            _ => None,
        };
        Self::Refused { stream, advice: code.map_or("", advice), source }
    }

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
            Self::Probe { .. } | Self::Missing { .. } => return false,
        };
        matches!(
            error.error_code(),
            ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NOT_LEADER
        )
    }
}
