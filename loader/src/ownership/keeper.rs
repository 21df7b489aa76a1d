//! Looks whose the stream is, and whether this database has what was taken of it: before anything is
//! taken, now and then, and when there is reason to doubt it.

use std::time::Duration;

use async_nats::jetstream::Context;
use shared::consumer::Readers;
use shared::exit::chain;
use shared::retry::Delays;
use shared::stream::{StreamArgs, ensure_stream};
use shared::telemetry::SUBSCRIBER;
use sqlx::Connection as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Ownership;
use super::decide::decide;
use super::error::LookError;
use super::identity::{Identity, identity};
use super::owner::owner;
use super::redeliver::{Redelivered, redeliver_absent};
use crate::postgres::database::Database;

/// Between two looks: each reads what has come since the last one.
const INTERVAL: Duration = Duration::from_mins(10);
/// The same while messages have left the stream that this database never had: newer listings may be on
/// their way.
const INTERVAL_LACKING: Duration = Duration::from_mins(1);
/// Between two glances whether the database is still the same one.
const GLANCE: Duration = Duration::from_secs(15);
/// A message leaves the stream no sooner than after some looks.
const LOOKS_PER_AGE: u32 = 4;
const SHORTEST_INTERVAL: Duration = Duration::from_secs(5);
/// Doubts come together: writers reconnect one after the other.
const GATHER: Duration = Duration::from_secs(1);
/// While the stream is another database's, or a server is in trouble.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(20);

/// Who looks.
pub(crate) struct Keeper {
    ownership: Ownership,
    context: Context,
    readers: Readers,
    stream_args: StreamArgs,
    database: Database,
    stop: CancellationToken,
    /// What was delivered again since the last doubt.
    redelivered: Vec<(&'static str, u64)>,
    /// Of the database that was last compared.
    identity: Option<Identity>,
}

impl Keeper {
    pub(crate) fn new(
        ownership: Ownership,
        context: Context,
        (readers, stream_args): (Readers, StreamArgs),
        database: Database,
        stop: CancellationToken,
    ) -> Self {
        Self {
            ownership,
            context,
            readers,
            stream_args,
            database,
            stop,
            redelivered: Vec::new(),
            identity: None,
        }
    }

    /// Looks until it is stopped.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.keep()).await;
    }

    async fn keep(&mut self) {
        let mut delays = Delays::forever(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let pause = match Box::pin(self.look()).await {
                Ok(Some(redelivered)) => {
                    delays.reset();
                    let pause = interval(&redelivered);
                    self.redelivered.extend(redelivered.again);
                    Some(pause)
                }
                Ok(None) => None,
                Err(error) => {
                    warn!(target: SUBSCRIBER, "Cannot compare this database with the stream, will try again: {}", chain(&error));
                    None
                }
            };
            let pause = pause.or_else(|| delays.next_delay()).unwrap_or(LONGEST_DELAY);
            if self.doubted_within(pause).await {
                self.redelivered.clear();
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    /// Waits for so long, or until there is reason to look again.
    async fn doubted_within(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        loop {
            let next = end.min(Instant::now() + GLANCE);
            if timeout_at(next, self.ownership.0.doubts.notified()).await.is_ok() {
                return true;
            }
            if next >= end {
                return false;
            }
            match self.is_another().await {
                Ok(true) => return true,
                Ok(false) => {}
                // Whoever loads says so.
                Err(error) => debug!(target: SUBSCRIBER, %error, "Cannot glance at the database"),
            }
        }
    }

    /// Whether the database is not the one that was compared.
    async fn is_another(&self) -> Result<bool, LookError> {
        let mut connection = self.database.connect().await?;
        let now = identity(&mut connection).await?;
        drop(connection.close().await);
        Ok(self.identity.as_ref().is_some_and(|compared| *compared != now))
    }

    /// None where the stream is another database's.
    async fn look(&mut self) -> Result<Option<Redelivered>, LookError> {
        let Self { context, readers, .. } = self;
        if self.ownership.ready().is_err() {
            // Those who make it anew where it was deleted wait to be admitted.
            ensure_stream(context, &self.stream_args).await?;
        }
        let mut connection = self.database.connect().await?;
        let owner = owner(&mut connection).await?;
        let decided = decide(context, readers, &owner, &mut connection).await?;
        let redelivered = if let Err(foreign) = decided {
            self.ownership.refuse(foreign);
            None
        } else {
            let redelivered =
                redeliver_absent(context, readers, &owner, &mut connection, &self.redelivered)
                    .await?;
            self.ownership.admit(owner);
            Some(redelivered)
        };
        self.identity = Some(identity(&mut connection).await?);
        drop(connection.close().await);
        Ok(redelivered)
    }
}

fn interval(redelivered: &Redelivered) -> Duration {
    let usual = if redelivered.lacks { INTERVAL_LACKING } else { INTERVAL };
    match redelivered.max_age {
        Duration::ZERO => usual,
        age => usual.min(age / LOOKS_PER_AGE).max(SHORTEST_INTERVAL),
    }
}
