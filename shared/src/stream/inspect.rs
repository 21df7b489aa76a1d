//! Whether a start would get its stream and bucket, found out without making or changing either.

use async_nats::jetstream::context::{CreateStreamErrorKind, RequestError, RequestErrorKind};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{Context, ErrorCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ensure::{EnsureStreamError, PERMISSION_TIMEOUT, create, find};
use super::{STREAM, StreamArgs, bucket_stream};

/// How a stream stands to the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is there, and as it should be.
    Current,
    /// It is there; the next start changes its settings, where it may.
    Changes,
    /// The next start makes it.
    Absent,
}

/// Looks at the stream.
///
/// # Errors
/// As a start would have it.
pub async fn inspect_stream(
    context: &Context,
    args: &StreamArgs,
) -> Result<Found, EnsureStreamError> {
    inspect(context, STREAM, |config, is_new| args.settle_stream(config, is_new)).await
}

/// Looks at the bucket.
///
/// # Errors
/// As a start would have it.
pub async fn inspect_bucket(
    context: &Context,
    args: &StreamArgs,
) -> Result<Found, EnsureStreamError> {
    inspect(context, &bucket_stream(), |config, is_new| args.settle_bucket(config, is_new)).await
}

async fn inspect(
    context: &Context,
    name: &str,
    settle: impl Fn(&mut Config, bool),
) -> Result<Found, EnsureStreamError> {
    if let Some(found) = find(context, name).await? {
        let mut wanted = found.clone();
        settle(&mut wanted, false);
        return Ok(if wanted == found { Found::Current } else { Found::Changes });
    }
    let mut trying = context.clone();
    trying.set_timeout(PERMISSION_TIMEOUT);
    if !may_create(&trying, name).await? {
        return Err(EnsureStreamError::Missing { stream: name.to_owned() });
    }
    let mut config = Config { name: name.to_owned(), ..Config::default() };
    settle(&mut config, true);
    has_room(&trying, config).await?;
    Ok(Found::Absent)
}

/// A request that no server carries out, for it names another stream in its body, is answered only to who
/// may make one.
async fn may_create(context: &Context, name: &str) -> Result<bool, EnsureStreamError> {
    let request = json!({ "name": format!("{name}_not") });
    let answer: Result<Response<Value>, RequestError> =
        context.request(format!("STREAM.CREATE.{name}"), &request).await;
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == RequestErrorKind::TimedOut => Ok(false),
        Err(source) => Err(EnsureStreamError::Probe { stream: name.to_owned(), source }),
    }
}

/// One of the same size by another name is made and removed. Where this user may make only the real ones
/// it is not known.
async fn has_room(context: &Context, config: Config) -> Result<(), EnsureStreamError> {
    let stream = config.name.clone();
    let name = format!("TOGGL_TRACK_TRIAL_{}", Uuid::now_v7().simple());
    let subjects = vec![format!("toggl_track.trial.{name}")];
    let trial = Config { name: name.clone(), subjects, allow_rollup: false, ..config };
    match create(context, trial).await {
        Ok(()) => {
            // One that could not be removed is empty, and says by its name what it is.
            drop(context.delete_stream(&name).await);
            Ok(())
        }
        Err(error) if error.kind() == CreateStreamErrorKind::TimedOut => Ok(()),
        Err(error) if is_taken(&error.kind()) => Ok(()),
        Err(source) => Err(EnsureStreamError::refused(stream, source)),
    }
}

/// The trial is refused for being one stream too many beside those that are there.
fn is_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::MAXIMUM_STREAMS_LIMIT)
}
