//! The main job on a machine that has only Rust and pip: private servers, migrations, a loader, and
//! the fetcher against a simulated Toggl, or against the real one when `TOGGL_API_TOKEN` is set.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use jiff::{Timestamp, ToSpan as _, Zoned};
use tests::bench::{self, BenchArgs};
use tests::browser::{Browser, Screen};
use tests::sandbox::{Paper, Week, chart, latest, team};
use tests::servers::free_port;
use tests::toggl::Account;
use tests::workers::{self, Worker};
use tests::world::World;

/// Days that are read of a person's own account, where quotas are small, and of the agency.
const OWN_DAYS: u16 = 14;
const AGENCY_DAYS: u16 = 70;

const NEXT: &str = "\
Next:
  cargo sandbox --keep                       the same, and it stays: to look around with psql, and a page
  TOGGL_API_TOKEN=… cargo sandbox --days 7   your own account; it is only read
  README.md                                  five minutes to a pipeline that lasts";

/// Exit code of a fetcher that skipped something, such as groups on a free plan.
const INCOMPLETE: i32 = 6;

/// Runs the whole pipeline once, in a sandbox that leaves nothing behind.
///
/// With TOGGL_API_TOKEN in the environment it reads your Toggl account, else that of a small agency in a simulated
/// Toggl.
#[derive(Debug, Parser)]
#[command(name = "cargo sandbox")]
struct Cli {
    /// Days of time entries to read, today included (1 to 85). [default: 14; of the simulated Toggl 70]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=85))]
    days: Option<u16>,
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
    /// Take the picture of README.md: the report of the agency's hours, in Chromium.
    Picture {
        /// The PNG file.
        file: PathBuf,
    },
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Bench(args)) => return measure(args).await,
        Some(Command::Picture { file }) => return picture(file).await,
        None => {}
    }
    let started = Instant::now();
    let token = env::var_os("TOGGL_API_TOKEN").filter(|token| !token.is_empty());
    let days = cli.days.unwrap_or(if token.is_some() { OWN_DAYS } else { AGENCY_DAYS });
    say("Starting a private NATS and Postgres (fetched once where they are not installed) …");
    let world = World::start(Account::agency(days, Timestamp::now())).await?;
    let page = if cli.keep { format!("127.0.0.1:{}", free_port()?) } else { "off".to_owned() };
    let loader = world.loader(&[]).env("LOADER_HTTP", &page).start().await?;

    say(if token.is_some() {
        "TOGGL_API_TOKEN is set: your own account is read, at Toggl."
    } else {
        "No TOGGL_API_TOKEN: Toggl is simulated, with a small agency's account."
    });
    let fetched = fetcher(&world, days, token.as_ref()).run().await?;
    if !matches!(fetched.code, Some(0 | INCOMPLETE)) {
        print!("{}", fetched.stderr);
        let code = fetched.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Ok(code.into());
    }
    println!("{}", fetched.stdout.trim_end());
    world.loaded().await.with_context(|| format!("the loader said:\n{}", loader.log()))?;

    show(&world).await?;
    if token.is_none() {
        prove(&world, days).await?;
    }
    println!("\nAll of it took {:.1} s.", started.elapsed().as_secs_f64());
    if cli.keep {
        stay(&world, &page).await?;
    } else {
        println!("\n{NEXT}");
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

/// How large the picture of a report is, in CSS pixels.
const PICTURE: (u32, u32) = (760, 850);

async fn picture(file: &Path) -> Result<ExitCode> {
    let world = World::start(Account::agency(AGENCY_DAYS, Timestamp::now())).await?;
    let loader = world.start_loader().await?;
    ensure!(fetcher(&world, AGENCY_DAYS, None).run().await?.code == Some(0), "the fetcher failed");
    world.loaded_by(&loader).await?;
    let page = file.with_extension("html");
    // Whole weeks.
    let today = Zoned::now().date();
    let sunday = today - i64::from(today.weekday().to_monday_one_offset()).days();
    let (from, to) = ((sunday - 55.days()).to_string(), sunday.to_string());
    let page_name = page.to_string_lossy();
    let report =
        ["hours", "--from", &from, "--to", &to, "--by", "project,user", "--output", &page_name];
    ensure!(world.loader(&report).run().await?.code == Some(0), "the report failed");
    let mut browser = Browser::start().await?;
    let url = format!("file://{}", std::fs::canonicalize(&page)?.display());
    browser.open(&url, Screen { width: PICTURE.0, dark: false }).await?;
    browser.picture(file, PICTURE.0, PICTURE.1).await?;
    std::fs::remove_file(page)?;
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    println!("{line}");
}

/// The simulator's agency with everybody's entries, unless there is a token for the real Toggl.
fn fetcher(world: &World, days: u16, token: Option<&OsString>) -> Worker {
    let days = days.to_string();
    let Some(token) = token else {
        return world.fetcher(&["--only", "all", "--days", &days, "--team", &days]);
    };
    world
        .fetcher(&["--days", &days])
        .env("TOGGL_API_TOKEN", token)
        .without("TOGGL_URL")
        .without("TOGGL_REQUESTS_PER_SECOND")
        .without("TOGGL_BURST")
}

/// What a person looks for first: the week, the team, the latest entries.
async fn show(world: &World) -> Result<()> {
    let paper = Paper::of_stdout();
    let mut connection = world.connect().await?;
    let week = Week::read(&mut connection).await?;
    println!();
    for line in chart(&week, paper) {
        println!("{line}");
    }
    let team = team(&mut connection, week.monday).await?;
    if !team.is_empty() {
        println!("\n{}", paper.bold("The team in that week"));
        for (person, hours) in team {
            println!("   {person:<24} {hours:>7.2}");
        }
    }
    println!("\n{}", paper.bold("Latest entries"));
    for line in latest(&mut connection, paper).await? {
        println!("   {line}");
    }
    Ok(())
}

/// Toggl's own sums against the tables.
async fn prove(world: &World, days: u16) -> Result<()> {
    let from = Zoned::now().date() - i64::from(days - 1).days();
    let verify = world.fetcher(&["verify", "--from", &from.to_string(), "--wait"]);
    let proof = verify.env("DATABASE_URL", &world.database.url).run().await?;
    println!(
        "\n{}",
        Paper::of_stdout().bold("The proof: Toggl's own sums against the tables (fetcher verify)")
    );
    for line in proof.stdout.lines().chain(proof.stderr.lines().filter(|_| proof.code != Some(0))) {
        println!("   {line}");
    }
    Ok(())
}

/// Until Ctrl-C.
async fn stay(world: &World, page: &str) -> Result<()> {
    let loader = workers::folder().await?.join("loader");
    println!("\nThe servers stay until Ctrl-C. In another terminal:");
    println!("  export DATABASE_URL='{}'", world.database.url);
    println!(
        "  psql \"$DATABASE_URL\" -c 'select * from staging.stg_toggl_track__daily_entries limit 5'"
    );
    println!("  {} hours --by client,user", loader.display());
    println!("  {} hours --by project,user -o hours.html", loader.display());
    println!("  nats --server {} stream view TOGGL_TRACK_RAW", world.nats.url());
    println!("The loader's page: http://{page}/");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
