//! The parts of the way, one by one: a page of an answer to records, a batch to a message and back, and
//! a batch into Postgres, new and known.
#![expect(clippy::expect_used, reason = "a benchmark fails loudly")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fetcher::record::read_page;
use jiff::{SignedDuration, Timestamp};
use loader::apply::{Options, Origin, apply};
use shared::batch::{Batch, Coverage, VERSION, ZSTD};
use shared::catalogue;
use shared::resource::Resource;
use sqlx::{Executor as _, PgConnection};
use tests::servers::{PostgresOptions, PostgresServer};
use tests::toggl::{Account, AccountSize};
use tests::workers::Worker;
use uuid::Uuid;

const ROWS: usize = 1_000;

fn resource() -> &'static Resource {
    catalogue::find("time_entries").expect("the catalogue has entries")
}

/// Toggl's answer with a thousand entries.
fn page() -> Bytes {
    let size = AccountSize { time_entries: ROWS, days: 80, ..AccountSize::default() };
    let account = Account::generate(&size);
    let texts: Vec<_> = account.time_entries().map(|entry| entry.text().to_owned()).collect();
    format!("[{}]", texts.join(",")).into()
}

fn batch(page: &Bytes) -> Batch {
    Batch {
        version: VERSION,
        run_id: Uuid::now_v7(),
        resource: resource().name.to_owned(),
        workspace_id: 0,
        api_version: "v9".to_owned(),
        fetched_at: Timestamp::now(),
        part: 0,
        coverage: Coverage::Starts {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::now() + SignedDuration::from_hours(1),
            user_id: None,
        },
        records: read_page(resource(), page).expect("a page").records,
        rejected: Vec::new(),
    }
}

fn messages(criterion: &mut Criterion) {
    let page = page();
    let batch = batch(&page);
    let message = batch.encode().expect("a message");
    let mut group = criterion.benchmark_group("entries");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("page to records", |b| b.iter(|| read_page(resource(), &page)));
    group.bench_function("encode", |b| b.iter(|| batch.encode()));
    group.bench_function("decode", |b| b.iter(|| Batch::decode(&message, Some(ZSTD))));
    group.finish();
}

/// A database with empty raw tables. The server ends with this program.
async fn database() -> anyhow::Result<(PostgresServer, PgConnection)> {
    let postgres = PostgresServer::start(PostgresOptions { fsync: true }).await?;
    let database = postgres.create_database().await?;
    Worker::new("loader", &["migrate"]).env("DATABASE_URL", &database.url).run().await?;
    let connection = postgres.connect(&database.name).await?;
    Ok((postgres, connection))
}

fn applying(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_postgres, mut connection) = runtime.block_on(database()).expect("Postgres");
    let page = page();
    let mut group = criterion.benchmark_group("apply");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(20);
    for (name, emptied) in [("new", true), ("known", false)] {
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                runtime.block_on(repeat(&mut connection, &page, times, emptied)).expect("applied")
            });
        });
    }
    group.finish();
}

/// Applies a batch so many times; the time it took without what lies between.
async fn repeat(
    connection: &mut PgConnection,
    page: &Bytes,
    times: u64,
    emptied: bool,
) -> anyhow::Result<Duration> {
    let mut took = Duration::ZERO;
    for sequence in 0..times {
        if emptied {
            connection
                .execute("truncate raw.toggl_track__time_entries, raw.toggl_track__history")
                .await?;
        }
        let batch = batch(page);
        let origin = Origin {
            subject: resource().subject(),
            stream_sequence: i64::try_from(sequence)?,
            published_at: batch.fetched_at,
            promised_age: None,
        };
        let started = Instant::now();
        apply(connection, resource(), &batch, &origin, Options::default()).await?;
        took += started.elapsed();
    }
    Ok(took)
}

criterion_group!(benches, messages, applying);
criterion_main!(benches);
