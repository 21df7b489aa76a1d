//! The fetcher at work against the simulated Toggl.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jiff::ToSpan as _;

use super::figures::Figure;
use super::usage;
use crate::servers::{NatsOptions, PostgresOptions, PostgresServer, wait_for};
use crate::toggl::{Account, AccountSize};
use crate::workers::Worker;
use crate::world::World;

const DEADLINE: Duration = Duration::from_mins(10);
/// Over which the entries of a report are spread.
pub(super) const DAYS: u32 = 3 * 365;
/// Cold starts, of which the one in the middle counts.
const STARTS: usize = 9;

/// Whose report has so many entries: no report shows the last one, which is running.
pub(super) fn account(rows: u32) -> Result<Account> {
    Ok(Account::generate(&AccountSize {
        users: 20,
        entry_users: 20,
        time_entries: usize::try_from(rows)? + 1,
        days: DAYS,
        ..AccountSize::default()
    }))
}

/// A report of so many entries, without a limit on the pace.
pub(super) async fn report(rows: u32) -> Result<Figure> {
    let nats = NatsOptions { max_file_store: 32 << 30, ..NatsOptions::default() };
    let world = World::start_with(account(rows)?, nats).await?;
    let from = jiff::Zoned::now().date().checked_sub(i64::from(DAYS + 1).days())?;
    let before = usage::cpu(world.nats.pid())?;
    let started = Instant::now();
    let fetcher = world
        .fetcher(&["report", "--from", &from.to_string()])
        .env("TOGGL_REQUESTS_PER_SECOND", "100000")
        .env("TOGGL_BURST", "1000")
        .env("STREAM_MAX_BYTES", "-1")
        .start()
        .await?;
    let (mut cpu, mut peak) = (0.0, 0.0);
    wait_for("the end of the report", DEADLINE, || {
        cpu = usage::cpu(fetcher.pid()).unwrap_or(cpu);
        peak = usage::peak_mib(fetcher.pid()).unwrap_or(peak);
        std::future::ready(fetcher.exit_code())
    })
    .await?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(fetcher.exit_code() == Some(0), "the fetcher failed: {}", fetcher.log());
    let each = |seconds: f64| seconds * 1e6 / f64::from(rows);
    let nats = usage::cpu(world.nats.pid())? - before;
    Ok(Figure {
        phase: "fetch a report".to_owned(),
        rows,
        seconds,
        cpu: [("fetcher".to_owned(), each(cpu)), ("nats".to_owned(), each(nats))].into(),
        peak_mib: Some(peak),
        ..Figure::default()
    })
}

/// A person's account: 24 projects, 15 entries of the last days.
fn person() -> Account {
    let size = AccountSize { projects: 24, time_entries: 15, days: 3, ..AccountSize::default() };
    Account::generate(&size)
}

/// The daily sync of a person, from the start of the process to its end.
pub(super) async fn daily_sync() -> Result<Duration> {
    let world = World::start(person()).await?;
    median(|| world.fetcher(&["--days", "3"])).await
}

/// The same at Toggl's pace while a loader is at work, until all of it is stored: nothing of it is new.
pub(super) async fn smallest_sync() -> Result<Duration> {
    let postgres = PostgresServer::start(PostgresOptions { fsync: true }).await?;
    let world = World::start_between(person(), NatsOptions::default(), postgres).await?;
    let loader = world.start_loader().await?;
    let sync = || {
        let fetcher = world.fetcher(&["--days", "3", "--wait"]);
        fetcher.without("TOGGL_REQUESTS_PER_SECOND").without("TOGGL_BURST")
    };
    let first = sync().run().await?;
    ensure!(matches!(first.code, Some(0 | 6)), "the fetcher failed: {first:#?}");
    let took = median(sync).await;
    loader.terminate().await?;
    took
}

async fn median(sync: impl Fn() -> Worker) -> Result<Duration> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let finished = sync().run().await?;
        ensure!(matches!(finished.code, Some(0 | 6)), "the fetcher failed: {finished:#?}");
        took.push(finished.elapsed);
    }
    took.sort();
    took.get(STARTS / 2).copied().context("no sync")
}
