//! What a claim costs over tables of a million rows: time and rows touched grow with the claimed
//! range, not with the table. Prints Postgres' own plans, of the usual case and of a claim.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use loader::apply::{Options, Origin, apply};
use shared::batch::{Batch, Coverage, Record, VERSION};
use shared::catalogue;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::servers::{PostgresOptions, PostgresServer};
use tests::workers::Worker;
use uuid::Uuid;

const ROWS: i64 = 1_000_000;
/// Rows in the claimed ranges.
const RANGES: [i64; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
const WORKSPACE: i64 = 3;
const USER: i64 = 7;

#[tokio::main]
async fn main() -> Result<()> {
    let postgres = PostgresServer::start(PostgresOptions::default()).await?;
    let database = postgres.create_database().await?;
    let migrated = Worker::new("loader", &["migrate"]).env("DATABASE_URL", database.url).run();
    let migrated = migrated.await?;
    ensure!(migrated.code == Some(0), "{}", migrated.stderr);
    let mut connection = postgres.connect(&database.name).await?;
    fill(&mut connection).await?;

    println!(
        "{ROWS} rows in each table; an empty claim over ranges of them, which the guard refuses"
    );
    println!("{:>9} {:>22} {:>22}", "range", "ids of tags", "starts of entries");
    for range in RANGES {
        let ids = claim(&mut connection, "tags", range).await?;
        let starts = claim(&mut connection, "time_entries", range).await?;
        println!("{range:>9} {ids:>22} {starts:>22}");
    }
    let usual = usual(&mut connection).await?;
    println!("\na listing of 1,000 equal records, claimed, no newer claim on record: {usual}");

    connection.execute("load 'auto_explain'").await?;
    connection.execute("set auto_explain.log_min_duration = 0").await?;
    connection.execute("set auto_explain.log_analyze = on").await?;
    connection.execute("set auto_explain.log_timing = off").await?;
    let before = postgres.log().len();
    claim(&mut connection, "time_entries", 1_000).await?;
    print_plans(postgres.log().get(before..).context("the log shrank")?);
    Ok(())
}

async fn fill(connection: &mut PgConnection) -> Result<()> {
    for (table, more) in [
        ("tags", ""),
        ("time_entries", ", timestamptz '2023-01-01' + i * interval '90 seconds', 7"),
    ] {
        let columns = if more.is_empty() { "" } else { ", started_at, user_id" };
        let sql = format!(
            "insert into raw.toggl_track__{table}
                 (source_id, workspace_id, data, api_version, modified_at, fetched_at, content_hash{columns})
             select i, {WORKSPACE}, jsonb_build_object('id', i, 'name', 'n' || i), 'v9',
                    timestamptz '2023-01-01', timestamptz '2023-01-01', i{more}
             from generate_series(0, {ROWS} - 1) i"
        );
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    connection.execute("vacuum analyze").await?;
    Ok(())
}

/// Applies an empty claim over so many rows in the middle of the table: time, and rows touched.
async fn claim(connection: &mut PgConnection, name: &str, range: i64) -> Result<String> {
    let first = (ROWS - range) / 2;
    let coverage = if name == "tags" {
        Coverage::Ids { after: Some(first - 1), through: Some(first + range - 1) }
    } else {
        let origin: Timestamp = "2023-01-01T00:00:00Z".parse()?;
        let at = |row: i64| origin + SignedDuration::from_secs(90 * row);
        Coverage::Starts { from: at(first), to: at(first + range), user_id: Some(USER) }
    };
    measure(connection, &batch(name, coverage, Vec::new())).await
}

/// The usual case: what comes is what is there.
async fn usual(connection: &mut PgConnection) -> Result<String> {
    let records = (500_000..501_000_i64).map(|id| Record {
        source_id: id,
        workspace_id: None,
        modified_at: None,
        started_at: None,
        user_id: None,
        deleted_at: None,
        data: format!(r#"{{"id": {id}, "name": "n{id}"}}"#).into(),
    });
    let coverage = Coverage::Ids { after: Some(499_999), through: Some(500_999) };
    let batch = batch("tags", coverage, records.collect());
    measure(connection, &batch).await?;
    // Now they are equal to the byte.
    let again = Batch { run_id: Uuid::now_v7(), fetched_at: Timestamp::now(), ..batch };
    measure(connection, &again).await
}

fn batch(name: &str, coverage: Coverage, records: Vec<Record>) -> Batch {
    Batch {
        version: VERSION,
        run_id: Uuid::now_v7(),
        resource: name.to_owned(),
        workspace_id: if name == "tags" { WORKSPACE } else { 0 },
        api_version: "v9".to_owned(),
        fetched_at: Timestamp::now(),
        part: 0,
        coverage,
        records,
        rejected: Vec::new(),
    }
}

async fn measure(connection: &mut PgConnection, batch: &Batch) -> Result<String> {
    let resource = catalogue::find(&batch.resource).context("no such resource")?;
    let sequence = batch.fetched_at.as_microsecond();
    let origin = Origin {
        subject: resource.subject(),
        stream_sequence: sequence,
        published_at: batch.fetched_at,
        promised_age: None,
    };
    let before = touched(connection, &batch.resource).await?;
    let started = Instant::now();
    apply(connection, resource, batch, &origin, Options::default()).await?;
    let elapsed = started.elapsed();
    let after = touched(connection, &batch.resource).await?;
    Ok(format!("{:.1} ms, {} rows", elapsed.as_secs_f64() * 1e3, after - before))
}

/// Rows of a table that were read so far, by index or by scan.
async fn touched(connection: &mut PgConnection, name: &str) -> Result<i64> {
    // What a session has done is counted when it is idle, unless it is told to.
    connection.execute("select pg_stat_force_next_flush()").await?;
    let sql = "select (coalesce(idx_tup_fetch, 0) + seq_tup_read)::bigint
               from pg_stat_user_tables where schemaname = 'raw' and relname = $1";
    let table = format!("toggl_track__{name}");
    Ok(sqlx::query_scalar(sql).bind(table).fetch_one(connection).await?)
}

/// The plans of the statements that look for what is missing and that compare.
fn print_plans(log: &str) {
    let mut wanted = false;
    for line in log.lines() {
        if line.contains("plan:") {
            wanted = false;
        }
        if line.contains("Query Text: select count(*), count(*) filter") {
            wanted = true;
            println!("\nthe plan of a claim over 1,000 of {ROWS} entries:");
        }
        let is_plan = line.contains("rows=") || line.contains("Cond:") || line.contains("Filter:");
        if wanted && is_plan {
            println!("  {}", line.trim_end());
        }
    }
}
