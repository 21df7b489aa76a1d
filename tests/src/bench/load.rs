//! The loader at work: publish, JetStream, loader, Postgres.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::Context;
use async_nats::jetstream::message::PublishMessage;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use shared::catalogue;
use shared::consumer::ack_floor;
use shared::listing::{Listing, Span};
use shared::message::message;
use shared::stream::STREAM;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::entries::{self, USER, Version};
use super::figures::Figure;
use super::usage;
use crate::workers::{Resident, Worker};
use crate::world::World;

/// Entries of a listing; the messages hold what fits into one.
const LISTING: u32 = 50_000;
/// Entries of a short one, and how many of these: what a claim costs over a large table.
const SHORT_LISTING: u32 = 100;
const SHORT_LISTINGS: u32 = 200;
const READY: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_mins(30);
const IN_FLIGHT: usize = 32;
const MAX_PAYLOAD: usize = 1024 * 1024;

/// What is measured, with settings of the loader.
pub(super) struct Bench<'a> {
    pub(super) world: &'a World,
    pub(super) connection: PgConnection,
    pub(super) context: Context,
    pub(super) writers: u32,
    /// `on` or `off`.
    pub(super) history: &'static str,
}

/// Counters before a phase.
struct Before {
    at: Instant,
    cpu: [f64; 3],
    wal: i64,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(world: &'a World, writers: u32) -> Result<Self> {
        let (connection, context) = (world.connect().await?, world.jetstream().await?);
        Ok(Self { world, connection, context, writers, history: "on" })
    }

    /// Empty tables, an empty stream.
    pub(super) async fn reset(&mut self) -> Result<()> {
        self.connection
            .execute(
                "truncate raw.toggl_track__time_entries, raw.toggl_track__loads,
                     raw.toggl_track__claims, raw.toggl_track__history, raw.toggl_track__dead_letters",
            )
            .await?;
        self.context.get_stream(STREAM).await?.purge().await?;
        self.calm().await
    }

    async fn calm(&mut self) -> Result<()> {
        self.connection.execute("checkpoint").await?;
        Ok(())
    }

    pub(super) fn loader(&self, arguments: &[&str]) -> Worker {
        self.world
            .loader(arguments)
            .env("LOADER_WRITERS", self.writers.to_string())
            .env("LOADER_HISTORY", self.history)
            .env("LOADER_ACK_WAIT", "60s")
            .env("STREAM_MAX_BYTES", "-1")
            .env("LOG_LEVEL", "warn")
    }

    /// Publishes every entry in this version and waits until a running loader has stored it.
    pub(super) async fn sync(
        &mut self,
        phase: &str,
        rows: u32,
        version: Version,
    ) -> Result<Figure> {
        let windows = (0..rows).step_by(usize::try_from(LISTING)?);
        let messages = messages(windows.map(|at| at..rows.min(at + LISTING)), version)?;
        self.load(phase, rows, rows, messages).await
    }

    /// Publishes short listings of what is stored, all over the table.
    pub(super) async fn short_listings(&mut self, phase: &str, rows: u32) -> Result<Figure> {
        let apart = usize::try_from((rows / SHORT_LISTINGS).max(1))?;
        let windows = (0..rows).step_by(apart).take(usize::try_from(SHORT_LISTINGS)?);
        let windows: Vec<_> = windows.map(|at| at..rows.min(at + SHORT_LISTING)).collect();
        let listed = windows.iter().map(|window| window.end - window.start).sum();
        let messages = messages(windows.into_iter(), Version::First)?;
        self.load(phase, listed, rows, messages).await
    }

    async fn load(
        &mut self,
        phase: &str,
        rows: u32,
        in_all: u32,
        messages: Vec<PublishMessage>,
    ) -> Result<Figure> {
        self.calm().await?;
        let loader = self.loader(&[]).env("LOG_LEVEL", "info").start().await?;
        loader.logged("Loading", READY).await?;
        let stored = self.stored().await?;
        let before = self.before(loader.pid()).await?;
        publish(&self.context, messages).await?;
        self.loaded().await.with_context(|| loader.log())?;
        let mut figure = self.figure(phase, rows, &before, &loader).await?;
        let added = f64::from(u32::try_from((self.stored().await? - stored) / 1_000)?) * 1e3;
        figure.stream_bytes_per_row = Some(added / f64::from(rows));
        let code = loader.terminate().await?;
        ensure!(code == Some(0), "the loader failed ({code:?}): {}", loader.log());
        self.check(in_all).await?;
        Ok(figure)
    }

    /// Applies what the stream holds to an empty schema.
    pub(super) async fn replay(&mut self, phase: &str, rows: u32) -> Result<Figure> {
        self.calm().await?;
        // An empty window of time makes the schema and applies nothing.
        let before = self.before_without_loader().await?;
        let replay = self.loader(&["replay", "--into", "bench_replay"]).start().await?;
        let (mut cpu, mut peak) = (0.0, 0.0);
        crate::servers::wait_for("the end of the replay", DEADLINE, || {
            cpu = usage::cpu(replay.pid()).unwrap_or(cpu);
            peak = usage::peak_mib(replay.pid()).unwrap_or(peak);
            std::future::ready(replay.exit_code())
        })
        .await?;
        let mut figure = self.figure_without_loader(phase, rows, &before).await?;
        ensure!(replay.exit_code() == Some(0), "the replay failed: {}", replay.log());
        figure.peak_mib = Some(peak);
        figure.cpu.insert("loader".to_owned(), cpu * 1e6 / f64::from(rows));
        let count = "select count(*) from bench_replay.toggl_track__time_entries";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut self.connection).await?;
        ensure!(count == i64::from(rows), "the replay stored {count} of {rows} rows");
        self.connection.execute("drop schema bench_replay cascade").await?;
        Ok(figure)
    }

    /// Asks for the one consumer that has something to do, so that asking costs nothing.
    async fn loaded(&self) -> Result<()> {
        let resource = catalogue::find("time_entries").context("no such resource")?;
        let stream = self.context.get_stream(STREAM).await?;
        let last = stream.cached_info().state.last_sequence;
        crate::servers::wait_for("every message to be loaded", DEADLINE, || async {
            let consumer = stream.consumer_info(resource.consumer()).await.ok()?;
            (ack_floor(&consumer) >= last).then_some(())
        })
        .await
    }

    async fn check(&mut self, rows: u32) -> Result<()> {
        let sql = "select count(*) from raw.toggl_track__time_entries where deleted_at is null";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?;
        ensure!(count == i64::from(rows), "{count} of {rows} rows are stored");
        Ok(())
    }

    async fn stored(&self) -> Result<u64> {
        Ok(self.context.get_stream(STREAM).await?.cached_info().state.bytes)
    }

    async fn wal(&mut self) -> Result<i64> {
        let sql = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.connection).await?)
    }

    fn cpu(&self, loader: Option<u32>) -> Result<[f64; 3]> {
        Ok([
            loader.map_or(Ok(0.0), usage::cpu)?,
            usage::cpu_of_family(self.world.postgres().pid())?,
            usage::cpu(self.world.nats.pid())?,
        ])
    }

    async fn before(&mut self, loader: u32) -> Result<Before> {
        let (wal, cpu) = (self.wal().await?, self.cpu(Some(loader))?);
        Ok(Before { at: Instant::now(), cpu, wal })
    }

    async fn before_without_loader(&mut self) -> Result<Before> {
        let (wal, cpu) = (self.wal().await?, self.cpu(None)?);
        Ok(Before { at: Instant::now(), cpu, wal })
    }

    async fn figure(
        &mut self,
        phase: &str,
        rows: u32,
        before: &Before,
        loader: &Resident,
    ) -> Result<Figure> {
        let seconds = before.at.elapsed().as_secs_f64();
        let after = self.cpu(Some(loader.pid()))?;
        let peak_mib = Some(usage::peak_mib(loader.pid())?);
        let figure = self.rest(phase, rows, seconds, before, after).await?;
        Ok(Figure { peak_mib, ..figure })
    }

    async fn figure_without_loader(
        &mut self,
        phase: &str,
        rows: u32,
        before: &Before,
    ) -> Result<Figure> {
        let seconds = before.at.elapsed().as_secs_f64();
        let after = self.cpu(None)?;
        self.rest(phase, rows, seconds, before, after).await
    }

    async fn rest(
        &mut self,
        phase: &str,
        rows: u32,
        seconds: f64,
        before: &Before,
        after: [f64; 3],
    ) -> Result<Figure> {
        let wal = self.wal().await? - before.wal;
        let each =
            ["loader", "postgres", "nats"].into_iter().zip(before.cpu.into_iter().zip(after));
        let cpu: BTreeMap<_, _> = each
            .filter(|(_, (before, after))| after > before)
            .map(|(name, (before, after))| {
                (name.to_owned(), (after - before) * 1e6 / f64::from(rows))
            })
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let wal = wal as f64;
        Ok(Figure {
            phase: phase.to_owned(),
            rows,
            seconds,
            cpu,
            wal_bytes_per_row: Some(wal / f64::from(rows)),
            ..Figure::default()
        })
    }
}

/// A run that lists everything, ready to be published: making it is the fetcher's work, which has a
/// figure of its own.
fn messages(
    windows: impl Iterator<Item = Range<u32>>,
    version: Version,
) -> Result<Vec<PublishMessage>> {
    let resource = catalogue::find("time_entries").context("no such resource")?;
    let (fetched_at, run_id) = (Timestamp::now(), Uuid::now_v7());
    let mut messages = Vec::new();
    for window in windows {
        let (from, to) = (entries::start(window.start), entries::start(window.end));
        let listing = Listing {
            resource,
            workspace_id: 0,
            fetched_at,
            span: Span::Starts { from, to, user_id: Some(USER) },
            records: entries::records(window, version),
            rejected: Vec::new(),
        };
        let part = u32::try_from(messages.len())?;
        for batch in listing.into_batches(run_id, part, MAX_PAYLOAD) {
            messages.push(message(resource, &batch, batch.encode()?, None));
        }
    }
    Ok(messages)
}

/// As the fetcher does: so many on their way at once, each acknowledged.
async fn publish(context: &Context, messages: Vec<PublishMessage>) -> Result<()> {
    let resource = catalogue::find("time_entries").context("no such resource")?;
    futures::stream::iter(messages)
        .map(|message| async {
            context.send_publish(resource.subject(), message).await?.await?;
            anyhow::Ok(())
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Memory as a server of a size worth measuring has it; the durability settings are Postgres' own. No
/// autovacuum, which would fall on one phase and not on the next. And all of its memory in use, as after a day's
/// work: a page of it that is written for the first time costs as much as a row, one long `COPY` needs few of them,
/// and whatever is measured first would pay for what comes later.
pub(super) async fn settle(world: &World) -> Result<()> {
    let mut connection = world.connect().await?;
    for (name, value) in [
        ("shared_buffers", "2GB"),
        ("max_wal_size", "16GB"),
        ("checkpoint_timeout", "30min"),
        ("autovacuum", "off"),
    ] {
        let sql = format!("alter system set {name} = '{value}'");
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    world.postgres().restart(crate::servers::Shutdown::Fast).await?;
    let mut connection = world.connect().await?;
    for statement in [
        "create table filler (page text)",
        "alter table filler alter column page set storage plain",
        "insert into filler select repeat('x', 8000)
         from generate_series(1, pg_size_bytes(current_setting('shared_buffers')) / 8192)",
        "drop table filler",
        "checkpoint",
    ] {
        connection.execute(statement).await?;
    }
    Ok(())
}
