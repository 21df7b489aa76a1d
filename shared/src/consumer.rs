//! The durable consumers of the loaders, one a table, and what stands in their metadata.
//!
//! A consumer belongs to one database: whoever loads into another one takes nothing of it. What keeps a
//! table from being loaded stands there, too, for it can be read by everybody, also where Postgres is
//! what does not work. Metadata needs nats-server 2.10; an older one forgets it.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, Info, PullConsumer, pull};
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind, GetStreamError};
use async_nats::jetstream::stream::{
    ConsumerCreateStrictError, ConsumerCreateStrictErrorKind, ConsumerError, Stream,
};
use jiff::Timestamp;

use crate::catalogue::CATALOGUE;
use crate::resource::Resource;
use crate::stream::STREAM;

mod owner;
mod readers;

pub use owner::{Foreign, Owner, Whose};
pub use readers::{CopyName, CopyNameError, Readers};

/// Messages of one table that all loaders together may hold unacknowledged.
const MAX_ACK_PENDING: i64 = 16;

/// Keys of the metadata.
const INSTALLATION: &str = "toggl_track.installation";
const DATABASE: &str = "toggl_track.database";
const TROUBLE: &str = "toggl_track.trouble";
const TROUBLE_SINCE: &str = "toggl_track.trouble_since";

/// Characters of the words about a trouble, at most.
const MAX_WORDS: usize = 400;

/// What keeps a table from being loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What it is and what to do, in one line.
    pub words: String,
}

/// What stands in a consumer's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// Whose it is; none for a consumer of the first release.
    pub owner: Option<Owner>,
    /// What the loader that tried last could not get past.
    pub trouble: Option<Trouble>,
}

impl Notes {
    /// As they stand in this metadata. What cannot be read counts as absent.
    pub fn of(metadata: &HashMap<String, String>) -> Self {
        let text = |key| metadata.get(key).filter(|text| !text.is_empty());
        let owner = text(INSTALLATION).and_then(|id| id.parse().ok()).map(|installation| Owner {
            installation,
            database: text(DATABASE).cloned().unwrap_or_default(),
        });
        let since = text(TROUBLE_SINCE).and_then(|since| since.parse().ok());
        let trouble =
            text(TROUBLE).cloned().zip(since).map(|(words, since)| Trouble { since, words });
        Self { owner, trouble }
    }

    /// Puts them in place of those that are there; other keys are the administrator's.
    fn write(&self, metadata: &mut HashMap<String, String>) {
        for key in [INSTALLATION, DATABASE, TROUBLE, TROUBLE_SINCE] {
            metadata.remove(key);
        }
        let mut set = |key: &str, text: String| {
            metadata.insert(key.to_owned(), text);
        };
        if let Some(Owner { installation, database }) = &self.owner {
            set(INSTALLATION, installation.to_string());
            set(DATABASE, database.clone());
        }
        if let Some(Trouble { since, words }) = &self.trouble {
            set(TROUBLE, words.chars().take(MAX_WORDS).collect());
            set(TROUBLE_SINCE, since.to_string());
        }
    }
}

/// The settings of a table's consumer. One that is there keeps where it began (`begin` is for one that is
/// made anew) and what an administrator has noted in its metadata.
fn settings(
    found: Option<&Config>,
    begin: Option<u64>,
    readers: &Readers,
    resource: &Resource,
    ack_wait: Duration,
    notes: &Notes,
) -> pull::Config {
    let mut metadata = found.map(|found| found.metadata.clone()).unwrap_or_default();
    notes.write(&mut metadata);
    pull::Config {
        durable_name: Some(readers.consumer(resource)),
        description: Some(format!("loads raw.{}", resource.table())),
        filter_subject: resource.subject(),
        deliver_policy: match begin {
            Some(start_sequence) => DeliverPolicy::ByStartSequence { start_sequence },
            None => found.map_or(DeliverPolicy::All, |found| found.deliver_policy),
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait,
        // A finite number skips data silently once it is reached.
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        metadata,
        ..pull::Config::default()
    }
}

/// Reads an `ack_wait`: a second at least, below which every batch would be delivered twice, and an
/// hour at most, for a batch that a dead loader held waits that long.
///
/// # Errors
/// When the text is not a duration, or out of these bounds.
pub fn ack_wait(text: &str) -> Result<Duration, String> {
    let wait = crate::settings::time(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_hours(1)).contains(&wait) {
        Ok(wait)
    } else {
        Err("must lie between 1s and 1h".to_owned())
    }
}

/// Up to where everything on its subject is acknowledged, or lies before its beginning. Of one that
/// has not acknowledged anything yet, nats-server up to 2.12 says 0, wherever it begins.
pub fn ack_floor(info: &Info) -> u64 {
    let begin = match info.config.deliver_policy {
        DeliverPolicy::ByStartSequence { start_sequence } => start_sequence,
        _ => 0,
    };
    info.ack_floor.stream_sequence.max(begin.saturating_sub(1))
}

/// Creates a table's consumer or brings its settings up to date. `change` gets the notes that are there
/// and answers those that shall be. Where there is no consumer it gets none, and whose the others are:
/// who moves the stream to another database deletes its consumers one by one.
///
/// # Errors
/// When the stream is missing, the server refuses, or `change` does.
pub async fn ensure_consumer(
    context: &Context,
    readers: &Readers,
    resource: &Resource,
    ack_wait: Duration,
    change: impl FnOnce(Option<Notes>, &[Owner]) -> Result<Notes, Foreign>,
) -> Result<PullConsumer, EnsureConsumerError> {
    let stream = context.get_stream(STREAM).await?;
    let found = find(&stream, readers, resource).await?;
    let others = match found {
        Some(_) => Vec::new(),
        None => owners(&stream, readers).await?,
    };
    let notes = change(found.as_ref().map(|found| Notes::of(&found.metadata)), &others)?;
    let wanted = settings(found.as_ref(), None, readers, resource, ack_wait, &notes);
    Ok(stream.create_consumer(wanted).await?)
}

/// Deletes a table's consumer and makes it anew, with its other settings and changed notes, to begin at
/// a sequence of the stream or behind what is acknowledged; whoever waits for its messages is told that
/// it was deleted. False where there is none, or where somebody else has made it in between, which then
/// begins no later.
///
/// # Errors
/// As [`ensure_consumer`].
pub async fn begin_anew(
    context: &Context,
    readers: &Readers,
    resource: &Resource,
    begin: Option<u64>,
    change: impl FnOnce(Notes) -> Notes,
) -> Result<bool, EnsureConsumerError> {
    let stream = context.get_stream(STREAM).await?;
    let name = readers.consumer(resource);
    let info = match stream.consumer_info(&name).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let begin = begin.unwrap_or(ack_floor(&info) + 1);
    let notes = change(Notes::of(&info.config.metadata));
    let wait = info.config.ack_wait;
    let wanted = settings(Some(&info.config), Some(begin), readers, resource, wait, &notes);
    stream.delete_consumer(&name).await?;
    match stream.create_consumer_strict(wanted).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ConsumerCreateStrictErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Who owns any of these consumers.
async fn owners(stream: &Stream, readers: &Readers) -> Result<Vec<Owner>, EnsureConsumerError> {
    let mut owners = Vec::new();
    for resource in CATALOGUE {
        let found = find(stream, readers, resource).await?;
        owners.extend(found.and_then(|found| Notes::of(&found.metadata).owner));
    }
    Ok(owners)
}

/// Changes the notes of a consumer, if it is there.
///
/// # Errors
/// As [`ensure_consumer`].
pub async fn change_notes(
    context: &Context,
    readers: &Readers,
    resource: &Resource,
    change: impl FnOnce(Notes) -> Notes,
) -> Result<(), EnsureConsumerError> {
    let stream = context.get_stream(STREAM).await?;
    let Some(found) = find(&stream, readers, resource).await? else { return Ok(()) };
    let old = Notes::of(&found.metadata);
    let new = change(old.clone());
    if new != old {
        let wanted = settings(Some(&found), None, readers, resource, found.ack_wait, &new);
        stream.create_consumer(wanted).await?;
    }
    Ok(())
}

async fn find(
    stream: &Stream,
    readers: &Readers,
    resource: &Resource,
) -> Result<Option<Config>, EnsureConsumerError> {
    match stream.consumer_info(readers.consumer(resource)).await {
        Ok(info) => Ok(Some(info.config)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why a consumer could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EnsureConsumerError {
    /// The stream could not be looked up.
    #[error("could not look up stream {STREAM}")]
    Stream(#[from] GetStreamError),
    /// The consumer could not be looked up.
    #[error("could not look up the consumer")]
    Lookup(#[from] ConsumerInfoError),
    /// The consumer was refused.
    #[error("could not create the consumer")]
    Consumer(#[from] ConsumerError),
    /// One that was to be made anew was refused.
    #[error("could not create the consumer")]
    Anew(#[from] ConsumerCreateStrictError),
    /// It is another database's.
    #[error(transparent)]
    Foreign(#[from] Foreign),
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_lies_before_the_beginning_is_acknowledged_whatever_the_server_says() {
        let floor = |policy: serde_json::Value, floor: u64| {
            let mut config = json!({ "ack_policy": "explicit", "replay_policy": "instant" });
            config.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
            let at = |sequence| json!({ "consumer_seq": 0, "stream_seq": sequence });
            let info = json!({
                "stream_name": STREAM, "name": "c", "created": "2026-01-01T00:00:00Z",
                "config": config, "delivered": at(0), "ack_floor": at(floor), "num_ack_pending": 0,
                "num_redelivered": 0, "num_waiting": 0, "num_pending": 0,
            });
            ack_floor(&serde_json::from_value(info).unwrap())
        };
        let from = json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": 4 });
        assert_eq!(floor(from.clone(), 0), 3, "nats-server 2.12 before the first acknowledgement");
        assert_eq!(floor(from.clone(), 3), 3, "nats-server 2.14");
        assert_eq!(floor(from, 7), 7);
        assert_eq!(floor(json!({ "deliver_policy": "all" }), 0), 0);
    }

    #[test]
    fn notes_come_back_as_they_were_written_beside_those_of_others() {
        let notes = Notes {
            owner: Some(Owner { installation: Uuid::now_v7(), database: "7/toggl".to_owned() }),
            trouble: Some(Trouble { since: Timestamp::UNIX_EPOCH, words: "no table".to_owned() }),
        };
        let mut metadata = HashMap::from([("theirs".to_owned(), "kept".to_owned())]);
        notes.write(&mut metadata);
        assert_eq!(Notes::of(&metadata), notes);
        Notes::default().write(&mut metadata);
        assert_eq!(Notes::of(&metadata), Notes::default());
        assert_eq!(metadata, HashMap::from([("theirs".to_owned(), "kept".to_owned())]));
    }
}
