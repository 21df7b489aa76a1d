//! The messages of one table without their payloads, in their order.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::Stream;
use futures::StreamExt as _;
use jiff::Timestamp;
use shared::resource::Resource;
use uuid::Uuid;

use super::error::LookError;

/// Messages asked for at once: a few hundred bytes each.
const PULL: usize = 500;
/// Silence of this length means that the server has forgotten the request.
const SILENCE: Duration = Duration::from_secs(10);
/// What a process that died leaves behind goes by itself after this.
const INACTIVE: Duration = Duration::from_mins(1);

/// A message, as far as its head tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) published_at: Timestamp,
    /// Where its id is a batch's: its row in `loads`.
    pub(super) key: Option<LoadKey>,
}

/// The key of `loads`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadKey {
    pub(super) run_id: Uuid,
    pub(super) resource: String,
    pub(super) workspace_id: i64,
    pub(super) part: i32,
}

impl LoadKey {
    /// Of a [`Batch::message_id`](shared::batch::Batch::message_id).
    fn of(message_id: &str) -> Option<Self> {
        let mut words = message_id.split(':');
        let (_version, resource) = (words.next()?, words.next()?.to_owned());
        let workspace_id = words.next()?.parse().ok()?;
        let run_id = words.next()?.parse().ok()?;
        let part = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { run_id, resource, workspace_id, part })
    }

    /// Of the message with these headers.
    pub(super) fn in_headers(headers: Option<&HeaderMap>) -> Option<Self> {
        Self::of(headers?.get(NATS_MESSAGE_ID)?.as_str())
    }
}

/// Reads heads up to a place in the stream.
pub(super) struct Heads {
    stream: Stream,
    consumer: PullConsumer,
    /// By the consumer's own count, so that one that is lost on the way is noticed.
    delivered: u64,
    end: u64,
    done: bool,
}

impl Heads {
    /// From one sequence to another, both included.
    pub(super) async fn open(
        stream: &Stream,
        resource: &Resource,
        from: u64,
        end: u64,
    ) -> Result<Self, LookError> {
        let config = pull::Config {
            name: Some(format!("heads_{}", Uuid::now_v7().simple())),
            filter_subject: resource.subject(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from },
            ack_policy: AckPolicy::None,
            headers_only: true,
            inactive_threshold: INACTIVE,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await?;
        let done = consumer.cached_info().num_pending == 0;
        Ok(Self { stream: stream.clone(), consumer, delivered: 0, end, done })
    }

    /// Some more; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Head>, LookError> {
        let mut heads = Vec::new();
        if self.done {
            return Ok(heads);
        }
        let fetch = self.consumer.fetch().max_messages(PULL);
        let mut messages = fetch.messages().await.map_err(|error| LookError::Lost(error.into()))?;
        loop {
            let next = tokio::time::timeout(SILENCE, messages.next()).await;
            let next = next.map_err(|_| LookError::Lost("no answer in time".into()))?;
            let Some(message) = next.transpose().map_err(LookError::Lost)? else { break };
            let info = message.info().map_err(LookError::Lost)?;
            self.delivered += 1;
            if info.consumer_sequence != self.delivered {
                return Err(LookError::Lost("messages were lost on the way".into()));
            }
            if info.stream_sequence > self.end {
                self.done = true;
                break;
            }
            self.done = info.pending == 0;
            heads.push(Head {
                sequence: info.stream_sequence,
                published_at: Timestamp::from_nanosecond(info.published.unix_timestamp_nanos())?,
                key: LoadKey::in_headers(message.headers.as_ref()),
            });
        }
        if heads.is_empty() && !self.done {
            return Err(LookError::Lost("the server holds back messages".into()));
        }
        Ok(heads)
    }

    /// Removes its consumer, which else would expire.
    pub(super) async fn close(self) {
        drop(self.stream.delete_consumer(&self.consumer.cached_info().name).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_of_a_batch_names_its_row_in_the_ledger() {
        let run_id = Uuid::now_v7();
        let key = LoadKey { run_id, resource: "tags".to_owned(), workspace_id: 7, part: 3 };
        assert_eq!(LoadKey::of(&format!("v1:tags:7:{run_id}:3")), Some(key));
        for other in ["", "v1:tags:7", "v1:tags:x:y:0", &format!("v1:tags:7:{run_id}:3:4")] {
            assert_eq!(LoadKey::of(other), None, "{other}");
        }
    }
}
