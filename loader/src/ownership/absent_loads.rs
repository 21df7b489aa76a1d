//! What the stream has had of each table, held against `loads`.
//!
//! A message up to the consumer's ack floor was acknowledged, which happens after its commit: what
//! `loads` does not have of it was committed into another database, or into one that went back to an
//! earlier state. Read is only what came since the last check.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::stream::{self, DirectGetErrorKind, Stream};
use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use shared::consumer::{Readers, ack_floor};
use shared::resource::Resource;
use shared::stream::STREAM;
use sqlx::PgConnection;

use super::decide::consumers;
use super::error::LookError;
use super::gone::{Gone, Past};
use super::heads::{Head, Heads, LoadKey};
use super::lookup::Lookup;
use super::positions::{self, Position};

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Examined {
    pub(crate) tables: Vec<Table>,
    /// How long the stream holds a message; zero for ever.
    pub(super) max_age: Duration,
}

/// Of one table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) resource: &'static Resource,
    /// Messages that were acknowledged and are not here.
    pub(crate) absent: u64,
    /// The first of them.
    pub(crate) first_absent: Option<u64>,
    /// What is new of what left the stream before it came here.
    pub(super) newly_gone: Option<Gone>,
    /// What to put on record.
    pub(crate) position: Position,
}

/// A stream, as it was when the check began.
struct Looked<'a> {
    stream: &'a Stream,
    created_at: Timestamp,
    first: u64,
    last: u64,
    /// When the first message that it holds was stored.
    first_at: Timestamp,
}

/// Looks, and changes nothing. What is `redelivered` counts as here, whatever `loads` says: it was delivered
/// again, and acknowledged again.
pub(crate) async fn examine(
    context: &Context,
    readers: &Readers,
    connection: &mut PgConnection,
    redelivered: &[(&'static str, u64)],
) -> Result<Examined, LookError> {
    let stream = context.get_stream(STREAM).await?;
    let looked = Looked::at(&stream, stream.cached_info())?;
    // Before `loads`: what is acknowledged was committed earlier.
    let consumers = consumers(&stream, readers).await?;
    let mut positions = positions::read(connection).await?;
    positions.retain(|_, position| position.stream_created_at == looked.created_at);
    let furthest = positions.values().map(|position| position.complete_through).max();
    let is_short = |resource: &Resource| {
        let complete = positions.get(resource.name).map_or(0, |known| known.complete_through);
        complete + 1 < looked.first
    };
    let past = if CATALOGUE.iter().any(is_short) {
        Past::before(looked.first, looked.created_at, connection).await?
    } else {
        Past::default()
    };
    let mut tables = Vec::new();
    for resource in CATALOGUE {
        let info = consumers.iter().find(|(known, _)| *known == resource).map(|(_, info)| info);
        let known = positions.get(resource.name);
        let mut table = looked.table(resource, info, known, redelivered, connection).await?;
        // Nothing is missed of what there never was.
        if is_short(resource) && (past.has(resource) || looked.holds(resource).await?) {
            let behind = known.is_some_and(|known| Some(known.complete_through) < furthest);
            let begin = (looked.first, looked.first_at);
            table.newly_gone = past.gone(resource, known, behind, begin);
        }
        table.note_gone(looked.first);
        tables.push(table);
    }
    Ok(Examined { tables, max_age: stream.cached_info().config.max_age })
}

impl Table {
    /// What is gone is not looked for again.
    fn note_gone(&mut self, first: u64) {
        let position = &mut self.position;
        position.complete_through = position.complete_through.max(first.saturating_sub(1));
        if let Some(gone) = &self.newly_gone {
            position.gone = Some(gone.clone().and(position.gone.take()));
        }
    }
}

impl<'a> Looked<'a> {
    fn at(stream: &'a Stream, info: &stream::Info) -> Result<Self, LookError> {
        let micros = |nanos: i128| i64::try_from(nanos.div_euclid(1_000)).unwrap_or_default();
        // As fine as Postgres keeps it.
        let created_at = Timestamp::from_microsecond(micros(info.created.unix_timestamp_nanos()))?;
        let state = &info.state;
        let first_at = match state.messages {
            0 => Timestamp::now(),
            _ => Timestamp::from_nanosecond(state.first_timestamp.unix_timestamp_nanos())?,
        };
        let first =
            if state.messages == 0 { state.last_sequence + 1 } else { state.first_sequence };
        Ok(Self { stream, created_at, first, last: state.last_sequence, first_at })
    }

    /// Whether the stream has a message of this table.
    async fn holds(&self, resource: &Resource) -> Result<bool, LookError> {
        Ok(self.next_of(resource, self.first).await?.is_some())
    }

    /// The first message of a table from there on.
    async fn next_of(&self, resource: &Resource, from: u64) -> Result<Option<Head>, LookError> {
        let next = self.stream.direct_get_next_for_subject(resource.subject(), Some(from.max(1)));
        match next.await {
            Ok(message) => Ok(Some(Head {
                sequence: message.sequence,
                published_at: Timestamp::from_nanosecond(message.time.unix_timestamp_nanos())?,
                key: LoadKey::in_headers(Some(&message.headers)),
            })),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn table(
        &self,
        resource: &'static Resource,
        info: Option<&Info>,
        known: Option<&Position>,
        redelivered: &[(&'static str, u64)],
        connection: &mut PgConnection,
    ) -> Result<Table, LookError> {
        let complete = known.map_or(0, |known| known.complete_through);
        let gone = known.and_then(|known| known.gone.clone());
        let position =
            Position { stream_created_at: self.created_at, complete_through: complete, gone };
        let mut table =
            Table { resource, absent: 0, first_absent: None, newly_gone: None, position };
        let from = (complete + 1).max(self.first);
        let Some(next) =
            self.next_of(resource, from).await?.filter(|next| next.sequence <= self.last)
        else {
            // A replica that is asked may not know yet what the leader knows.
            let is_idle =
                info.is_some_and(|info| info.num_pending == 0 && info.num_ack_pending == 0);
            if is_idle {
                table.position.complete_through = complete.max(self.last);
            }
            return Ok(table);
        };
        let floor = info.map_or(0, ack_floor);
        let lookup = Lookup {
            connection,
            stream: self.stream,
            resource,
            stream_created_at: self.created_at,
        };
        let mut scan =
            Scan { lookup, redelivered, floor, absent: 0, first_absent: None, waiting: None };
        scan.take(std::slice::from_ref(&next)).await?;
        if scan.waiting.is_none() {
            let mut heads =
                Heads::open(self.stream, resource, next.sequence + 1, self.last).await?;
            let read = scan.read(&mut heads).await;
            heads.close().await;
            read?;
        }
        table.absent = scan.absent;
        table.first_absent = scan.first_absent;
        let stop = scan.first_absent.or(scan.waiting);
        let through = stop.map_or(self.last, |stop| stop - 1);
        table.position.complete_through = complete.max(through);
        Ok(table)
    }
}

/// The messages of one table, looked at one after the other.
struct Scan<'a> {
    lookup: Lookup<'a>,
    redelivered: &'a [(&'static str, u64)],
    floor: u64,
    absent: u64,
    first_absent: Option<u64>,
    /// The first that is not here and not acknowledged: loaders are about to load it.
    waiting: Option<u64>,
}

impl Scan<'_> {
    async fn read(&mut self, heads: &mut Heads) -> Result<(), LookError> {
        while self.waiting.is_none() {
            let some = heads.next().await?;
            if some.is_empty() {
                break;
            }
            self.take(&some).await?;
        }
        Ok(())
    }

    async fn take(&mut self, heads: &[Head]) -> Result<(), LookError> {
        for head in self.lookup.absent(heads).await? {
            if head.sequence > self.floor {
                self.waiting = Some(head.sequence);
                return Ok(());
            }
            // One that is certain is enough: from it on everything is delivered again.
            if self.first_absent.is_none() && !self.is_certain(head).await? {
                continue;
            }
            self.first_absent.get_or_insert(head.sequence);
            self.absent += 1;
        }
        Ok(())
    }

    async fn is_certain(&mut self, head: &Head) -> Result<bool, LookError> {
        if self.redelivered.contains(&(self.lookup.resource.name, head.sequence)) {
            return Ok(false);
        }
        Ok(self.lookup.is_loaded(head).await? == Some(false))
    }
}
