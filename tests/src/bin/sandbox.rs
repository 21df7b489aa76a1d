//! The main job on a machine that has only Rust and pip: private servers, migrations, a loader, and
//! the fetcher against a simulated Toggl, or against the real one when `TOGGL_API_TOKEN` is set.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use sqlx::PgConnection;
use sqlx::Row as _;
use tests::bench::{self, BenchArgs};
use tests::rows;
use tests::toggl::{Account, AccountSize};
use tests::workers::Worker;
use tests::world::World;

/// Exit code of a fetcher that skipped something, such as groups on a free plan.
const INCOMPLETE: i32 = 6;

/// Runs the whole pipeline once, in a sandbox that leaves nothing behind.
///
/// With TOGGL_API_TOKEN in the environment it reads your Toggl account, else a simulated one.
#[derive(Debug, Parser)]
#[command(name = "cargo sandbox")]
struct Cli {
    /// Days of time entries to read, today included (1 to 85).
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=85))]
    days: u16,
    /// Leave the servers running and say how to connect, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure instead: how fast everything is beside Postgres' own COPY of the same rows.
    Bench(BenchArgs),
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(Command::Bench(args)) = &cli.command {
        return measure(args).await;
    }
    let started = Instant::now();
    say("Starting a private NATS and Postgres (fetched once where they are not installed) …");
    let world = World::start(account(&cli)).await?;

    let loader = world.start_loader().await?;
    let fetcher = fetcher(&world, cli.days);
    say("Fetching …");
    let fetched = fetcher.run().await?;
    if !matches!(fetched.code, Some(0 | INCOMPLETE)) {
        print!("{}", fetched.stderr);
        let code = fetched.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Ok(code.into());
    }
    println!("{}", fetched.stdout.trim_end());
    world.loaded().await.with_context(|| format!("the loader said:\n{}", loader.log()))?;

    let mut connection = world.connect().await?;
    print_tables(&mut connection).await?;
    print_entries(&mut connection).await?;
    println!("\nAll of it took {:.1} s.", started.elapsed().as_secs_f64());
    if cli.keep {
        println!("\nThe servers stay until Ctrl-C:");
        println!("  psql '{}'", world.database.url);
        println!("  nats --server {} stream view TOGGL_TRACK_RAW", world.nats.url());
        tokio::signal::ctrl_c().await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not optimised is not worth measuring: then the same again, as it is released.
async fn measure(args: &BenchArgs) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = tokio::process::Command::new(cargo)
            .args(["run", "--quiet", "--release", "--package", "tests", "--bin", "sandbox", "--"])
            .args(env::args_os().skip(1))
            .status()
            .await?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    bench::run(args, say).await?;
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    println!("{line}");
}

/// As large as a person's account: about six entries a day.
fn account(cli: &Cli) -> Account {
    let days = u32::from(cli.days);
    let size =
        AccountSize { days, time_entries: 6 * usize::from(cli.days), ..AccountSize::default() };
    Account::generate(&size)
}

/// The simulator's, unless there is a token for the real Toggl.
fn fetcher(world: &World, days: u16) -> Worker {
    let days = days.to_string();
    let simulated = world.fetcher(&["--days", &days]);
    match env::var_os("TOGGL_API_TOKEN").filter(|token| !token.is_empty()) {
        None => {
            println!("No TOGGL_API_TOKEN: Toggl is simulated.");
            simulated
        }
        Some(token) => {
            println!("TOGGL_API_TOKEN is set: your own account is read, at Toggl.");
            simulated
                .env("TOGGL_API_TOKEN", token)
                .without("TOGGL_URL")
                .without("TOGGL_REQUESTS_PER_SECOND")
                .without("TOGGL_BURST")
        }
    }
}

async fn print_tables(connection: &mut PgConnection) -> Result<()> {
    println!("\n{:<36} {:>8}", "table", "rows");
    for resource in shared::catalogue::CATALOGUE {
        let count = rows::count(connection, resource).await?;
        println!("raw.{:<32} {count:>8}", resource.table());
    }
    Ok(())
}

/// What a person looks for first: the latest entries with their projects.
async fn print_entries(connection: &mut PgConnection) -> Result<()> {
    let entries = sqlx::query(
        "select to_char(e.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
                case when (e.data->>'duration')::bigint < 0 then 'running'
                     else ((e.data->>'duration')::bigint * interval '1 second')::text end,
                coalesce(p.data->>'name', '-'),
                coalesce(e.data->>'description', '')
         from raw.toggl_track__time_entries e
         left join raw.toggl_track__projects p on p.source_id = (e.data->>'project_id')::bigint
         where e.deleted_at is null
         order by e.started_at desc limit 5",
    )
    .fetch_all(connection)
    .await?;
    println!("\nlatest time entries (UTC)");
    for entry in entries {
        let text = |column: usize| entry.try_get::<String, _>(column);
        println!("  {}  {:<8}  {:<24}  {}", text(0)?, text(1)?, text(2)?, text(3)?);
    }
    Ok(())
}
