//! Why a batch could not be stored, and whether to try again.

use async_nats::jetstream::context::{PublishError as NatsError, PublishErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use shared::batch::EncodeError;
use shared::retry::Disposition;
use shared::stream::STREAM;

use super::PATIENCE;

/// Why a batch could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A bug.
    #[error("could not encode a batch")]
    Encode(#[from] EncodeError),
    /// The stream refuses new messages until there is room.
    #[error(
        "the stream {STREAM} is full or its server has no room left; raise STREAM_MAX_BYTES or \
         max_file_store, lower STREAM_MAX_AGE, or free the disk"
    )]
    Full(#[source] NatsError),
    /// No stream takes the subject.
    #[error("the stream {STREAM} does not take {subject}; start a loader, or the fetcher again")]
    NoStream {
        /// The subject.
        subject: String,
    },
    /// Not acknowledged in a minute, with repetitions.
    #[error(
        "NATS did not acknowledge a batch on {subject} within {} s; its log says why (a full disk, for \
         instance)",
        PATIENCE.as_secs()
    )]
    Unacknowledged {
        /// The subject.
        subject: String,
        /// The last attempt's error.
        #[source]
        source: NatsError,
    },
}

pub(super) fn disposition(error: &NatsError) -> Disposition {
    match error.kind() {
        // No stream answers just after a server's start, while a cluster chooses its leader, or until
        // somebody has made it anew.
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending => Disposition::Retry(None),
        PublishErrorKind::Other if !is_full(error) => Disposition::Retry(None),
        _ => Disposition::Stop,
    }
}

pub(super) fn refused(subject: String, error: NatsError) -> PublishError {
    match error.kind() {
        PublishErrorKind::StreamNotFound => PublishError::NoStream { subject },
        _ if is_full(&error) => PublishError::Full(error),
        _ => PublishError::Unacknowledged { subject, source: error },
    }
}

/// Whether JetStream had no room, as one of the causes says then.
pub(crate) fn is_full(error: &dyn std::error::Error) -> bool {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<jetstream::Error>()).any(|error| {
        matches!(
            error.error_code(),
            ErrorCode::STREAM_STORE_FAILED
                | ErrorCode::INSUFFICIENT_RESOURCES
                | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        )
    })
}
