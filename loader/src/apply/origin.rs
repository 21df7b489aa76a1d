//! Where a batch comes from.

use std::time::Duration;

use jiff::Timestamp;

/// Where a message came from, for `loads` and dead letters.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Subject it was published on.
    pub subject: String,
    /// Its sequence in the stream.
    pub stream_sequence: i64,
    /// When JetStream stored it; the beginning of 1970, when there was none, where nobody knows.
    pub published_at: Timestamp,
    /// How old its table gets at most before it is read again, where whoever starts the runs has said so.
    pub promised_age: Option<Duration>,
}

impl Origin {
    /// Whether it is known when the message was stored.
    pub(crate) fn is_dated(&self) -> bool {
        self.published_at > Timestamp::UNIX_EPOCH
    }
}
