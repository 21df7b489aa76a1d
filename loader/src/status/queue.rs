//! What NATS knows: the stream, and for each table what has not been loaded yet.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use async_nats::jetstream::{ErrorCode, consumer};
use futures::future::try_join_all;
use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use shared::consumer::{Notes, Readers, Trouble, ack_floor};
use shared::exit::chain;
use shared::resource::Resource;
use shared::stream::STREAM;

use super::Away;

/// Longer than a healthy server takes, shorter than a person's patience.
const LOOK_TIMEOUT: Duration = Duration::from_secs(12);
/// Pull requests are renewed all at once, and none is there for a moment: what looks like no loader is
/// looked at once more, this much later.
const SECOND_LOOK: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// None if it is missing.
    pub(crate) stream: Option<StreamState>,
    /// By resource, of those that have their consumer.
    pub(crate) backlogs: BTreeMap<&'static str, Backlog>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamState {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// None for no limit.
    pub(crate) max_bytes: Option<u64>,
    pub(crate) last_published_at: Option<Timestamp>,
}

/// What one table's consumer has before it.
#[derive(Debug, Clone)]
pub(crate) struct Backlog {
    pub(crate) pending: u64,
    pub(crate) in_flight: u64,
    /// Pull requests that wait for a message: signs of loaders.
    pub(crate) pulls: usize,
    /// When the oldest unloaded message was published.
    pub(crate) oldest_at: Option<Timestamp>,
    /// When a loader was last given a message.
    pub(crate) delivered_at: Option<Timestamp>,
    /// What keeps it from being loaded, as the loader that tried last says; it may be over.
    pub(crate) trouble: Option<Trouble>,
}

impl Backlog {
    /// Where everything is loaded, trouble is over.
    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|_| self.unloaded() > 0)
    }

    pub(crate) fn unloaded(&self) -> u64 {
        self.pending + self.in_flight
    }
}

impl Queue {
    /// Whether a loader waits for messages. One that is busy with all tables at once shows no sign of
    /// itself; the consumers without work give it away.
    pub(crate) fn is_served(&self) -> bool {
        self.backlogs.values().any(|backlog| backlog.pulls > 0)
    }

    pub(crate) fn unloaded(&self) -> u64 {
        self.backlogs.values().map(Backlog::unloaded).sum()
    }

    /// When the oldest message that is not loaded was published.
    pub(crate) fn oldest_at(&self) -> Option<Timestamp> {
        self.backlogs.values().filter_map(|backlog| backlog.oldest_at).min()
    }

    /// What keeps a table from being loaded.
    pub(crate) fn trouble(&self, resource: &str) -> Option<&Trouble> {
        self.backlogs.get(resource)?.trouble()
    }

    /// All that keeps tables from being loaded.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = (&'static str, &Trouble)> {
        let all = self.backlogs.iter();
        all.filter_map(|(name, backlog)| Some((*name, backlog.trouble()?)))
    }

    /// Resources without a consumer.
    pub(crate) fn unserved(&self) -> impl Iterator<Item = &'static str> {
        let names = CATALOGUE.iter().map(|resource| resource.name);
        names.filter(|name| !self.backlogs.contains_key(name))
    }
}

/// Asks for all of it, with the rights of a loader.
pub(crate) async fn look(context: &Context, readers: &Readers) -> Result<Queue, Away> {
    // A client that reconnects would wait for its own time limit.
    if context.client().connection_state() != State::Connected {
        return Err(away(
            "NATS is out of reach; is it running? Loaders come back to it by themselves",
        ));
    }
    let looking = async {
        let queue = Box::pin(ask(context, readers)).await?;
        if queue.is_served() {
            return Ok(queue);
        }
        tokio::time::sleep(SECOND_LOOK).await;
        Box::pin(ask(context, readers)).await
    };
    match tokio::time::timeout(LOOK_TIMEOUT, looking).await {
        Ok(Ok(queue)) => Ok(queue),
        Ok(Err(error)) => Err(away(&format!(
            "NATS does not tell how the stream is; does it have JetStream, and this user a loader's \
             rights? {}",
            chain(error.as_ref())
        ))),
        Err(_) => Err(away("NATS does not answer; is it running?")),
    }
}

fn away(words: &str) -> Away {
    Away { words: words.to_owned(), out_of_reach: true }
}

async fn ask(context: &Context, readers: &Readers) -> anyhow::Result<Queue> {
    let stream = match context.get_stream(STREAM).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(said)
                if said.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Ok(Queue { stream: None, backlogs: BTreeMap::new() });
            }
            _ => return Err(error.into()),
        },
    };
    let state = state(&stream);
    let backlogs = CATALOGUE.iter().map(|resource| backlog(&stream, readers, resource));
    let backlogs = try_join_all(backlogs).await?.into_iter().flatten().collect();
    Ok(Queue { stream: Some(state), backlogs })
}

fn state(stream: &Stream) -> StreamState {
    let info = stream.cached_info();
    // An empty stream says the year 1.
    let last = info.state.last_timestamp.unix_timestamp_nanos();
    StreamState {
        messages: info.state.messages,
        bytes: info.state.bytes,
        max_bytes: u64::try_from(info.config.max_bytes).ok().filter(|limit| *limit > 0),
        last_published_at: Timestamp::from_nanosecond(last).ok().filter(|at| at.as_second() > 0),
    }
}

/// None without a consumer.
async fn backlog(
    stream: &Stream,
    readers: &Readers,
    resource: &'static Resource,
) -> anyhow::Result<Option<(&'static str, Backlog)>> {
    let info = match stream.consumer_info(readers.consumer(resource)).await {
        Ok(info) => info,
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let in_flight = u64::try_from(info.num_ack_pending)?;
    let oldest_at = if info.num_pending + in_flight > 0 {
        oldest_unloaded(stream, resource, &info).await?
    } else {
        None
    };
    let delivered_at = info
        .delivered
        .last_active
        .and_then(|at| Timestamp::from_nanosecond(at.unix_timestamp_nanos()).ok());
    let backlog = Backlog {
        pending: info.num_pending,
        in_flight,
        pulls: info.num_waiting,
        oldest_at,
        delivered_at,
        trouble: Notes::of(&info.config.metadata).trouble,
    };
    Ok(Some((resource.name, backlog)))
}

/// The first message after all those that are settled.
async fn oldest_unloaded(
    stream: &Stream,
    resource: &Resource,
    info: &consumer::Info,
) -> anyhow::Result<Option<Timestamp>> {
    let after = ack_floor(info) + 1;
    match stream.direct_get_next_for_subject(resource.subject(), Some(after)).await {
        Ok(message) => Ok(Some(Timestamp::from_nanosecond(message.time.unix_timestamp_nanos())?)),
        // Purged, or settled in between.
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
