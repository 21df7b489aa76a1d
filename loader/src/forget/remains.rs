//! What a deletion in Postgres does not reach, in words.

use std::time::Duration;

use async_nats::jetstream::Context;
use jiff::Timestamp;
use shared::nats::{Program, Server};
use shared::stream::{BUCKET, STREAM};
use sqlx::PgConnection;

use super::Whom;

/// A server that does not answer must not keep anybody from the rest.
const LOOK_TIMEOUT: Duration = Duration::from_secs(12);

pub(super) struct Remains {
    whom: Whom,
    /// None where NATS did not tell.
    stream: Option<Kept>,
    /// Schemas that replays have made.
    schemas: Vec<String>,
}

/// How long the stream keeps what it has.
struct Kept {
    /// None for an empty stream.
    last_published_at: Option<Timestamp>,
    /// None where nothing is too old.
    max_age: Option<Duration>,
}

impl Remains {
    pub(super) async fn look(
        server: &Server<'_>,
        connection: &mut PgConnection,
        whom: Whom,
    ) -> sqlx::Result<Self> {
        let schemas = sqlx::query_scalar(
            "select nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relname = 'toggl_track__replay' and c.relkind = 'r' order by 1",
        )
        .fetch_all(connection)
        .await?;
        let stream = tokio::time::timeout(LOOK_TIMEOUT, async {
            let client = server.connect(Program::Loader).await.ok()?;
            kept(&server.jetstream(client)).await
        });
        Ok(Self { whom, stream: stream.await.ok().flatten(), schemas })
    }

    pub(super) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.schemas.iter().map(|schema| {
            format!("the schema {schema} was made by a replay, and may hold them: drop schema {schema} cascade")
        }).collect();
        words.extend(self.stream_words());
        let next = match self.whom {
            Whom::User(_) => {
                "their names in descriptions, projects or tags of others, which no id tells"
            }
            Whom::Workspace(_) => "counts and times of its batches in raw.toggl_track__loads",
        };
        words.push(next.to_owned());
        words.push(
            "Toggl itself: what is not deleted there is still read, published and kept in the stream"
                .to_owned(),
        );
        words.push(format!(
            "the bucket {BUCKET} (progress of fetchers, by ids), backups and WAL archives, and what is deleted \
             until it is vacuumed"
        ));
        words
    }

    fn stream_words(&self) -> Option<String> {
        let Some(Kept { last_published_at, max_age }) = &self.stream else {
            return Some(format!(
                "the stream {STREAM}, which could not be asked: batches stay there for STREAM_MAX_AGE"
            ));
        };
        let last = last_published_at.as_ref()?;
        let until = max_age.and_then(|age| last.checked_add(age).ok());
        Some(match until {
            Some(until) => format!(
                "the stream {STREAM}: its present batches are gone by {} (STREAM_MAX_AGE), or when you purge it",
                until.strftime("%Y-%m-%d")
            ),
            None => format!(
                "the stream {STREAM}, whose batches never grow too old: purge it, or set STREAM_MAX_AGE"
            ),
        })
    }
}

async fn kept(context: &Context) -> Option<Kept> {
    let mut stream = context.get_stream(STREAM).await.ok()?;
    let info = stream.info().await.ok()?;
    let last = Timestamp::from_nanosecond(info.state.last_timestamp.unix_timestamp_nanos()).ok();
    let max_age = info.config.max_age;
    Some(Kept {
        last_published_at: last.filter(|_| info.state.messages > 0),
        max_age: (!max_age.is_zero()).then_some(max_age),
    })
}
