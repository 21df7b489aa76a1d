//! Where a batch comes from.

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
}

impl Origin {
    /// Whether it is known when the message was stored.
    pub(crate) fn is_dated(&self) -> bool {
        self.published_at > Timestamp::UNIX_EPOCH
    }
}
