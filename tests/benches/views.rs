//! How long questions to the view of all time entries take, against a typed table with an index on the start that
//! is measured in the same run, while both raw tables hold every entry. Rows as an argument:
//! `cargo bench --package tests --bench views -- 1000000`.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::servers::{PostgresOptions, PostgresServer};
use tests::workers::Worker;

const ROWS: i64 = 1_000_000;
/// Each question is asked so often; the fastest answer counts.
const TIMES: usize = 5;
const VIEW: &str = "staging.stg_toggl_track__time_entries";

/// What is asked, of three years of entries by twenty people for a hundred projects.
const QUESTIONS: [(&str, &str); 4] = [
    ("a month", "where started_at >= '2026-03-01' and started_at < '2026-04-01'"),
    ("one user", "where user_id = 7"),
    ("one project", "where project_id = 7"),
    ("everything", ""),
];

const OF_A_MONTH: [(&str, &str); 5] = [
    ("wide_entries", QUESTIONS[0].1),
    ("wide_entries", "where month = '2026-03-01'"),
    ("daily_entries", QUESTIONS[0].1),
    ("daily_entries", "where month = '2026-03-01'"),
    ("hours_by_day", "where month = '2026-03-01'"),
];

#[tokio::main]
async fn main() -> Result<()> {
    let rows = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(ROWS);
    let postgres = PostgresServer::start(PostgresOptions::default()).await?;
    let database = postgres.create_database().await?;
    let migrated = Worker::new("loader", &["migrate"]).env("DATABASE_URL", database.url).run();
    let migrated = migrated.await?;
    ensure!(migrated.code == Some(0), "{}", migrated.stderr);
    let mut connection = postgres.connect(&database.name).await?;
    // As servers have it unless somebody says otherwise.
    connection.execute("set jit = on").await?;
    fill(&mut connection, rows).await?;

    println!("{rows} entries, each in both raw tables");
    println!("{:>12} {:>10} {:>10} {:>8} {:>10}", "", "typed", "view", "times", "not copied");
    let mut not_copied = Vec::new();
    for (_, condition) in QUESTIONS {
        not_copied.push(ask(&mut connection, VIEW, condition, 1).await?);
    }
    let copying = copy(&mut connection).await?;
    for ((question, condition), not_copied) in QUESTIONS.into_iter().zip(not_copied) {
        let typed = ask(&mut connection, "typed", condition, TIMES).await?;
        let view = ask(&mut connection, VIEW, condition, TIMES).await?;
        println!(
            "{question:>12} {:>7.1} ms {:>7.1} ms {:>8.1} {:>7.0} ms",
            milliseconds(typed),
            milliseconds(view),
            view.as_secs_f64() / typed.as_secs_f64(),
            milliseconds(not_copied)
        );
    }
    println!("\na month by project, of what stands on it");
    let typed = ask(&mut connection, "typed", QUESTIONS[0].1, TIMES).await?;
    for (view, condition) in OF_A_MONTH {
        let view = format!("staging.stg_toggl_track__{view}");
        let time = ask_for(&mut connection, &view, condition, "seconds", TIMES).await?;
        println!(
            "{:>7.1} ms {:>8.1}  {view} {condition}",
            milliseconds(time),
            time.as_secs_f64() / typed.as_secs_f64()
        );
    }
    println!(
        "copied in {:.1} s, in the background; megabytes on disk: {}",
        copying.as_secs_f64(),
        sizes(&mut connection).await?
    );
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Fills both raw tables with the same entries, as v9 and as reports tell them, and the typed table.
async fn fill(connection: &mut PgConnection, rows: i64) -> Result<()> {
    let source = format!(
        "create temp table source as
         select 3000000000 + i as id, start, start + took * interval '1 second' as stop, took, i % 5000 as text,
                1 + i * 31 % 100 as project, 1 + i * 17 % 20 as person, 1 + i % 10 as tag,
                (i % 2 = 0)::text as billable
         from generate_series(1, {rows}::bigint) i,
             lateral (select date_trunc('second', timestamptz '2023-11-01' + i * (94608000.0 / {rows}) * interval '1 second')
                          as start, 600 + i * 7919 % 7200 as took) entry"
    );
    connection.execute(AssertSqlSafe(source)).await?;
    for (table, version, modified, known, fields) in [
        (
            "time_entries",
            "v9",
            "interval '0.5 seconds'",
            "interval '0'",
            "'workspace_id', 1, 'wid', 1, 'pid', project, 'uid', person, 'duration', took, 'duronly', true,
             'tags', jsonb_build_array('Tag ' || tag), 'server_deleted_at', null",
        ),
        (
            "time_entries_report",
            "v3",
            "interval '0'",
            "interval '1 day'",
            "'seconds', took, 'username', 'User ' || person, 'billable_amount_in_cents', took * 9000 / 3600,
             'hourly_rate_in_cents', 9000, 'currency', 'EUR'",
        ),
    ] {
        let insert = format!(
            "insert into raw.toggl_track__{table} (source_id, workspace_id, data, api_version, modified_at,
                 fetched_at, content_hash, started_at, user_id)
             select id, 1, jsonb_build_object('id', id, 'project_id', project, 'task_id', null,
                        'billable', billable::boolean, 'start', start, 'stop', stop, 'description', 'Description ' || text,
                        'tag_ids', jsonb_build_array(tag), 'user_id', person, 'at', stop, {fields}),
                    '{version}', stop + {modified}, now() - {known}, id, start, person
             from source order by id"
        );
        connection.execute(AssertSqlSafe(insert)).await?;
        connection.execute(AssertSqlSafe(format!("vacuum analyze raw.toggl_track__{table}"))).await?;
    }
    for statement in [
        "create table typed as select * from staging.stg_toggl_track__time_entries order by started_at",
        "alter table typed add primary key (time_entry_id)",
        "create index on typed (started_at)",
        "vacuum analyze typed",
        "vacuum analyze raw.toggl_track__touched",
    ] {
        connection.execute(statement).await?;
    }
    Ok(())
}

/// Hours and amounts by project, in the best of so many times.
async fn ask(
    connection: &mut PgConnection,
    table: &str,
    condition: &str,
    times: usize,
) -> Result<Duration> {
    ask_for(connection, table, condition, "duration_seconds", times).await
}

/// The same of a table that calls the seconds so.
async fn ask_for(
    connection: &mut PgConnection,
    table: &str,
    condition: &str,
    seconds: &str,
    times: usize,
) -> Result<Duration> {
    let sql = format!(
        "select project_id, sum({seconds}), sum(billable_amount) from {table} {condition} group by 1"
    );
    let mut best = Duration::MAX;
    for _ in 0..times {
        let began = Instant::now();
        let rows = sqlx::query(AssertSqlSafe(&*sql)).fetch_all(&mut *connection).await?;
        ensure!(!rows.is_empty(), "{sql}");
        best = best.min(began.elapsed());
    }
    Ok(best)
}

/// Brings the copy up to date, as loaders do beside their work.
async fn copy(connection: &mut PgConnection) -> Result<Duration> {
    let began = Instant::now();
    let settle = "select raw.toggl_track__settle('0')";
    while sqlx::query_scalar::<_, i64>(settle).fetch_one(&mut *connection).await? > 0 {}
    let copying = began.elapsed();
    for table in ["typed_entries", "touched"] {
        let vacuum = format!("vacuum analyze raw.toggl_track__{table}");
        connection.execute(AssertSqlSafe(vacuum)).await?;
    }
    Ok(copying)
}

/// The sizes of the raw tables and of the copy, with their indexes.
async fn sizes(connection: &mut PgConnection) -> Result<String> {
    sqlx::query_scalar(
        "select string_agg(name || ' ' || pg_total_relation_size('raw.toggl_track__' || name) / 1000000, ', ')
         from unnest(array['time_entries', 'time_entries_report', 'typed_entries']) name",
    )
    .fetch_one(connection)
    .await
    .context("the sizes of the tables")
}
