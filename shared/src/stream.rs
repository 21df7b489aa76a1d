//! The JetStream stream and the key-value bucket, declared in code and brought up to date at every
//! start.
//!
//! Always create-or-update: "get or create" would silently ignore changed settings. Who only looks
//! needs no right to change: a stream that is as it should be is left alone, and one that this user
//! may not change is used as it is, with a warning. Age, size and copies are changed by who says so.

mod ensure;
mod inspect;

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use clap::Args;

pub use crate::resource::SUBJECT_PREFIX;
use crate::settings::{plain, time};

pub use self::ensure::{EnsureStreamError, ensure_bucket, ensure_stream};
pub use self::inspect::{Found, inspect_bucket, inspect_stream};

/// The stream that holds every batch.
pub const STREAM: &str = "TOGGL_TRACK_RAW";

/// The key-value bucket in which a run of the fetcher tells the next what it needs.
pub const BUCKET: &str = "toggl_track_state";

/// The stream behind the bucket, by JetStream's convention.
pub fn bucket_stream() -> String {
    format!("KV_{BUCKET}")
}

/// How long JetStream remembers message ids. A publish is repeated with its id for a minute at
/// most, so half an hour is ample; ids are held in the server's memory.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(30);

/// Of a new stream, where nothing is said.
const MAX_AGE: Duration = Duration::from_hours(365 * 24);
const MAX_BYTES: i64 = 4 * 1024 * 1024 * 1024;
/// Of a new bucket where the account wants a size for each stream: some kilobytes for each account of
/// Toggl, and room for a thousand of them.
const STATE_MAX_BYTES: i64 = 64 * 1024 * 1024;

/// Settings of the stream and the bucket. What is left out is the default of new ones; those that are
/// there keep what they have, so that a program with other settings, or with none, shortens and shrinks
/// nothing by merely starting.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Stream")]
pub struct StreamArgs {
    /// How long batches stay replayable; 0s keeps them until --stream-max-bytes. [default: 365d for a new
    /// stream; an existing one is changed only by what you give]
    #[arg(long, env = "STREAM_MAX_AGE", value_parser = plain(time), global = true)]
    pub stream_max_age: Option<Duration>,
    /// Size in bytes at which the stream refuses new batches; -1 for no limit. [default: 4 GiB for a new
    /// stream]
    #[arg(long, env = "STREAM_MAX_BYTES", allow_negative_numbers = true, value_parser = plain(clap::value_parser!(i64).range(-1..)), global = true)]
    pub stream_max_bytes: Option<i64>,
    /// Copies of the stream in a JetStream cluster: 1 alone, 3 on a cluster. [default: 1 for a new stream]
    #[arg(long, env = "STREAM_REPLICAS", value_parser = plain(clap::value_parser!(u8).range(1..=5)), global = true)]
    pub replicas: Option<u8>,
    /// Size in bytes of the key-value bucket in which fetchers remember how far they are; -1 for no limit.
    /// [default: no limit for a new bucket; 64 MiB where the NATS account wants one]
    #[arg(long, env = "STATE_MAX_BYTES", allow_negative_numbers = true, value_parser = plain(clap::value_parser!(i64).range(-1..)), global = true)]
    pub state_max_bytes: Option<i64>,
}

impl StreamArgs {
    /// Puts our settings into the configuration of the stream; what else it holds, such as a
    /// placement, is the administrator's.
    fn settle_stream(&self, config: &mut Config, is_new: bool) {
        config.description =
            Some("Toggl Track batches, the replayable log of the raw tables".to_owned());
        config.subjects = vec![format!("{SUBJECT_PREFIX}.*")];
        config.storage = StorageType::File;
        // WorkQueue and Interest delete what was acknowledged: nothing left to replay.
        config.retention = RetentionPolicy::Limits;
        // A full stream refuses loudly instead of dropping what no loader has read.
        config.discard = DiscardPolicy::New;
        set(&mut config.max_age, self.stream_max_age, is_new, MAX_AGE);
        set(&mut config.max_bytes, self.stream_max_bytes, is_new, MAX_BYTES);
        config.max_messages = -1;
        config.max_messages_per_subject = -1;
        config.max_message_size = -1;
        config.max_consumers = -1;
        set(&mut config.num_replicas, self.replicas.map(usize::from), is_new, 1);
        config.duplicate_window = match config.max_age {
            // The server refuses a window longer than the age.
            Duration::ZERO => DUPLICATE_WINDOW,
            max_age => DUPLICATE_WINDOW.min(max_age),
        };
        config.allow_direct = true;
    }

    /// The same for the bucket, which is a stream of one message a subject.
    fn settle_bucket(&self, config: &mut Config, is_new: bool) {
        config.description =
            Some("What a run of the Toggl Track fetcher tells the next".to_owned());
        config.subjects = vec![format!("$KV.{BUCKET}.>")];
        config.storage = StorageType::File;
        config.discard = DiscardPolicy::New;
        // A run that comes late is to know how late it is.
        config.max_age = Duration::ZERO;
        config.max_messages_per_subject = 1;
        set(&mut config.max_bytes, self.state_max_bytes, is_new, -1);
        set(&mut config.num_replicas, self.replicas.map(usize::from), is_new, 1);
        config.allow_rollup = true;
        config.deny_delete = true;
        config.allow_direct = true;
    }
}

/// What is given, or what is there, or for something new the default.
fn set<T>(present: &mut T, given: Option<T>, is_new: bool, default: T) {
    if let Some(value) = given.or_else(|| is_new.then_some(default)) {
        *present = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_changes_a_stream_that_is_there() {
        let given = StreamArgs { stream_max_bytes: Some(7), ..StreamArgs::default() };
        let mut config = Config::default();
        given.settle_stream(&mut config, true);
        assert_eq!((config.max_age, config.max_bytes, config.num_replicas), (MAX_AGE, 7, 1));
        config.max_age = Duration::ZERO;
        config.num_replicas = 3;
        StreamArgs::default().settle_stream(&mut config, false);
        assert_eq!((config.max_age, config.max_bytes, config.num_replicas), (Duration::ZERO, 7, 3));
        let shorter = StreamArgs { stream_max_age: Some(DUPLICATE_WINDOW / 2), ..given };
        shorter.settle_stream(&mut config, false);
        assert_eq!(config.duplicate_window, DUPLICATE_WINDOW / 2);
    }
}
