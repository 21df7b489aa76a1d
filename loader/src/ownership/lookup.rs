//! Whether messages have left a trace in this database: a row in `loads` or a dead letter.

use std::collections::BTreeSet;

use async_nats::jetstream::stream::{DirectGetErrorKind, Stream};
use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use shared::batch::Batch;
use shared::resource::Resource;
use sqlx::PgConnection;

use super::error::{LookError, answered};
use super::heads::{Head, LoadKey};

/// Clocks of NATS and Postgres differ by less.
const CLOCKS_APART: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// Where to look.
pub(super) struct Lookup<'a> {
    pub(super) connection: &'a mut PgConnection,
    pub(super) stream: &'a Stream,
    pub(super) resource: &'static Resource,
    /// Rows of an earlier stream tell nothing about this one's sequences.
    pub(super) stream_created_at: Timestamp,
}

impl Lookup<'_> {
    /// Those without a trace, by what their heads tell.
    pub(super) async fn absent<'h>(
        &mut self,
        heads: &'h [Head],
    ) -> Result<Vec<&'h Head>, LookError> {
        let keys: Vec<(&Head, &LoadKey)> =
            heads.iter().filter_map(|head| Some((head, head.key.as_ref()?))).collect();
        let found = self.loaded(&keys.iter().map(|(_, key)| *key).collect::<Vec<_>>()).await?;
        let mut seen: BTreeSet<u64> = keys
            .iter()
            .zip(found)
            .filter(|(_, found)| *found)
            .map(|((head, _), _)| head.sequence)
            .collect();
        let left = |seen: &BTreeSet<u64>| -> Vec<&'h Head> {
            heads.iter().filter(|head| !seen.contains(&head.sequence)).collect()
        };
        let nameless: Vec<_> = left(&seen).into_iter().filter(|head| head.key.is_none()).collect();
        seen.extend(self.loaded_from(&nameless).await?);
        seen.extend(self.letters(&left(&seen)).await?);
        Ok(left(&seen))
    }

    /// Whether a message that seems to be absent has a trace all the same: one without an id, as it was
    /// published by hand, may be the same batch as another. None if it has left the stream.
    pub(super) async fn is_loaded(&mut self, head: &Head) -> Result<Option<bool>, LookError> {
        let message = match self.stream.direct_get(head.sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let encoding = shared::message::encoding(&message.headers);
        // What cannot be read would be a dead letter.
        let Ok(batch) = Batch::decode(&message.payload, encoding) else { return Ok(Some(false)) };
        let part = i32::try_from(batch.part).unwrap_or(i32::MAX);
        let Batch { run_id, resource, workspace_id, .. } = batch;
        let key = LoadKey { run_id, resource, workspace_id, part };
        Ok(Some(self.loaded(&[&key]).await?.contains(&true)))
    }

    /// For each, whether it is in `loads`.
    async fn loaded(&mut self, keys: &[&LoadKey]) -> Result<Vec<bool>, LookError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_scalar(
            "select exists (
                 select from raw.toggl_track__loads l
                 where l.run_id = u.run_id and l.resource = u.resource
                     and l.workspace_id = u.workspace_id and l.part = u.part)
             from unnest($1::uuid[], $2::text[], $3::bigint[], $4::int[])
                 with ordinality u (run_id, resource, workspace_id, part, place)
             order by place",
        )
        .bind(keys.iter().map(|key| key.run_id).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.resource.clone()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.workspace_id).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.part).collect::<Vec<_>>())
        .fetch_all(&mut *self.connection);
        answered(query).await
    }

    /// The sequences of those that `loads` knows by their place in the stream.
    async fn loaded_from(&mut self, heads: &[&Head]) -> Result<Vec<u64>, LookError> {
        if heads.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_scalar(
            "select distinct stream_sequence from raw.toggl_track__loads
             where resource = $1 and stream_sequence = any($2) and loaded_at >= $3",
        )
        .bind(self.resource.name)
        .bind(sequences(heads))
        .bind(since(self.stream_created_at))
        .fetch_all(&mut *self.connection);
        let found: Vec<i64> = answered(query).await?;
        Ok(found.into_iter().map(i64::unsigned_abs).collect())
    }

    /// The sequences of those that are dead letters.
    async fn letters(&mut self, heads: &[&Head]) -> Result<Vec<u64>, LookError> {
        if heads.is_empty() {
            return Ok(Vec::new());
        }
        let times: Vec<SqlTimestamp> =
            heads.iter().map(|head| head.published_at.to_sqlx()).collect();
        let query = sqlx::query_scalar(
            "select distinct d.stream_sequence
             from unnest($1::bigint[], $2::timestamptz[]) u (stream_sequence, published_at)
             join raw.toggl_track__dead_letters d using (stream_sequence, published_at)",
        )
        .bind(sequences(heads))
        .bind(times)
        .fetch_all(&mut *self.connection);
        let found: Vec<i64> = answered(query).await?;
        Ok(found.into_iter().map(i64::unsigned_abs).collect())
    }
}

fn sequences(heads: &[&Head]) -> Vec<i64> {
    heads.iter().map(|head| i64::try_from(head.sequence).unwrap_or(i64::MAX)).collect()
}

/// From when on `loads`' rows are of a stream that was made then.
pub(super) fn since(stream_created_at: Timestamp) -> SqlTimestamp {
    stream_created_at.saturating_sub(CLOCKS_APART).unwrap_or(Timestamp::UNIX_EPOCH).to_sqlx()
}
