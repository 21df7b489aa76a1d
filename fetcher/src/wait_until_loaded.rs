//! Whether loaders have stored what was published: the consumer of each table tells how far they are. What
//! they settled is stored or kept as a dead letter; a loader tells which, when it is asked.

use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use async_nats::{Client, Request, RequestErrorKind};
use shared::catalogue;
use shared::consumer::ack_floor;
use shared::kept::{ANSWERS, Answer, KeptError, KeptLetters, Question, SUBJECT};
use shared::retry::Delays;
use shared::stream::STREAM;
use shared::telemetry::{ORCHESTRATOR, PUBLISHER};
use tracing::{debug, info};
use uuid::Uuid;

use crate::publisher::Newest;

/// A loader takes some milliseconds for a batch. NATS tells nobody how far a consumer is who does not ask; asked ever
/// less often, it is known at the latest after twice the time.
const FIRST_DELAY: Duration = Duration::from_millis(5);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// A loader that cannot tell says so before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(7);
/// Questions that may stay without an answer. NATS says where nobody listens; silence means that it does not
/// let us ask, or the loader answer, but for a loader that dies at that moment.
const MAX_SILENCES: u32 = 2;

/// Loaders did not come to it in time. It stays in the stream until they do.
#[derive(Debug, thiserror::Error)]
#[error(
    "published, but not stored within {}: {}; is a loader running? `loader status` says what holds it up",
    humantime::format_duration(*.patience),
    .resources.join(", ")
)]
pub(crate) struct NotStored {
    patience: Duration,
    resources: Vec<&'static str>,
}

/// How often a person is told what is waited for.
const TELL: Duration = Duration::from_secs(30);

/// Waits until everything up to the newest messages has been settled: its records stored, or kept as dead letters.
///
/// # Errors
/// When that takes longer than `patience`.
pub(crate) async fn until_stored(
    context: &Context,
    mut newest: Newest,
    patience: Duration,
) -> Result<(), NotStored> {
    match tokio::time::timeout(patience, settled(context, &mut newest)).await {
        Ok(()) => Ok(()),
        Err(_) => Err(NotStored { patience, resources: newest.into_keys().collect() }),
    }
}

/// Until nothing is ahead. NATS may be away for a while, and the consumers come with the first loader.
async fn settled(context: &Context, ahead: &mut Newest) {
    let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
    let mut told_at = Instant::now();
    loop {
        if let Ok(stream) = context.get_stream_no_info(STREAM).await {
            for (resource, sequence) in ahead.clone() {
                if is_settled(&stream, resource, sequence).await {
                    ahead.remove(resource);
                }
            }
        }
        if ahead.is_empty() {
            return;
        }
        if told_at.elapsed() >= TELL {
            told_at = Instant::now();
            let resources: Vec<_> = ahead.keys().copied().collect();
            let resources = resources.join(", ");
            info!(target: ORCHESTRATOR, "Waiting for loaders to store {resources}");
        }
        tokio::time::sleep(delays.next_delay().unwrap_or(LONGEST_DELAY)).await;
    }
}

/// Whether the consumer has settled this message and all before it.
async fn is_settled(stream: &Stream<()>, resource: &str, sequence: u64) -> bool {
    let Some(resource) = catalogue::find(resource) else {
        return true;
    };
    match stream.consumer_info(resource.consumer()).await {
        Ok(consumer) => ack_floor(&consumer) >= sequence,
        Err(error) => {
            debug!(target: PUBLISHER, %error, "Cannot tell how far {} is", resource.consumer());
            false
        }
    }
}

/// What was published is settled, and no loader says whether all of it is stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untold {
    /// Nobody listens.
    #[error(
        "loaders are through with what was published, but within {} none of them said whether it kept some of \
         it as dead letters; `loader dead-letters list` says so. Is a loader of this version running, and may \
         its NATS user subscribe to {SUBJECT} (block `authorization` of docker-compose.yml)?",
        humantime::format_duration(*.patience)
    )]
    NoLoader {
        /// How long it was waited.
        patience: Duration,
    },
    /// Somebody listens, or NATS does not say.
    #[error(
        "loaders are through with what was published, but there was no answer whether they kept some of it as \
         dead letters; `loader dead-letters list` says so. May this NATS user publish to {SUBJECT}, and the \
         loader's to {ANSWERS}.* (block `authorization` of docker-compose.yml)?"
    )]
    Silence,
    /// A loader was asked and cannot tell.
    #[error(
        "loaders are through with what was published, but cannot tell whether they kept some of it as dead \
         letters: {reason}"
    )]
    Unknown {
        /// The loader's words.
        reason: String,
    },
    /// Of a loader of another version.
    #[error(
        "a loader answers on {SUBJECT} in a way that is not understood: is it of another version?"
    )]
    Unreadable(#[from] KeptError),
}

/// Asks the loaders what they kept as dead letters of these runs, by resource: nothing, nearly always. To be
/// asked once all of it [is settled](until_stored). A loader that is just being restarted is waited for.
///
/// # Errors
/// When none tells within `patience`, or it is not permitted to ask.
pub(crate) async fn kept_as_dead_letters(
    client: &Client,
    run_ids: &[Uuid],
    patience: Duration,
) -> Result<Vec<KeptLetters>, Untold> {
    let mut delays = Delays::within(FIRST_DELAY, LONGEST_DELAY, patience);
    let mut silences = 0;
    loop {
        let trouble = match ask(client, run_ids).await? {
            Reply::Told(Answer::Kept(kept)) => return Ok(kept),
            Reply::Told(Answer::Unknown(reason)) => Untold::Unknown { reason },
            Reply::NoLoader => Untold::NoLoader { patience },
            Reply::Silence => {
                silences += 1;
                Untold::Silence
            }
        };
        debug!(target: PUBLISHER, "Not told what was kept as dead letters: {trouble}");
        match delays.next_delay() {
            Some(delay) if silences < MAX_SILENCES => tokio::time::sleep(delay).await,
            _ => return Err(trouble),
        }
    }
}

/// What came of a question.
enum Reply {
    Told(Answer),
    NoLoader,
    Silence,
}

async fn ask(client: &Client, run_ids: &[Uuid]) -> Result<Reply, KeptError> {
    let question = Request::new()
        .payload(Question::about(run_ids).encode()?.into())
        .inbox(format!("{ANSWERS}.{}", Uuid::now_v7().simple()))
        .timeout(Some(ANSWER_TIMEOUT));
    match client.send_request(SUBJECT, question).await {
        Ok(message) => Ok(Reply::Told(Answer::decode(&message.payload)?)),
        // Of a line that is broken nothing can be said; it is mended while it is waited.
        Err(error) if error.kind() == RequestErrorKind::TimedOut => {
            let is_connected = client.connection_state() == State::Connected;
            Ok(if is_connected { Reply::Silence } else { Reply::NoLoader })
        }
        Err(error) => {
            debug!(target: PUBLISHER, %error, "No answer on {SUBJECT}");
            Ok(Reply::NoLoader)
        }
    }
}
