//! `cargo sandbox bench`: the whole pipeline beside Postgres' own COPY, in one run, as ratios.

mod ceiling;
mod entries;
mod fetch;
mod figures;
mod load;
mod peers;
mod plot;
mod table;
mod usage;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use self::ceiling::Copied;
use self::entries::Version;
use self::figures::{Figure, heads, medians};
use self::load::Bench;
use crate::servers::{NatsOptions, PostgresOptions, PostgresServer};
use crate::toggl::Account;
use crate::world::World;

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Time entries to load.
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    rows: Vec<u32>,
    /// Rounds; the table at the end shows the one in the middle.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Connections of the loader, of which one table takes all but one.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=8))]
    writers: u32,
    /// Only phases whose name holds this.
    #[arg(long)]
    only: Option<String>,
    /// Also what others load and fetch with, fetched once with pip.
    #[arg(long)]
    peers: bool,
    /// Time entries for the peers, and for ours beside them.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    peer_rows: u32,
    /// Where the figures go, as JSON.
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Where the table goes, too: a page that has one by this.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Where the picture goes, as SVG.
    #[arg(long, default_value = "target/bench.svg")]
    svg: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// When a server or a worker fails, or rows are missing.
pub async fn run(args: &BenchArgs, say: fn(&str)) -> Result<()> {
    if args.peers {
        peers::prepare().await?;
    }
    let postgres = PostgresServer::start(PostgresOptions { fsync: true }).await?;
    let nats = NatsOptions { max_file_store: 32 << 30, ..NatsOptions::default() };
    let world = World::start_between(Account::empty(), nats, postgres).await?;
    load::settle(&world).await?;
    let mut bench = Bench::new(&world, args.writers).await?;
    let setup = bench.loader(&["setup"]).run().await?;
    ensure!(setup.code == Some(0), "{}", setup.stderr);
    let migrated = bench.loader(&["migrate"]).run().await?;
    ensure!(migrated.code == Some(0), "{}", migrated.stderr);
    say(&heads());
    let mut figures = Vec::new();
    for rows in args.sizes() {
        for _ in 0..args.rounds {
            round(&mut bench, args, rows, &mut figures, say).await?;
        }
    }
    let mut medians = medians(&figures);
    say("\nmedians, by the ratio to COPY of the same round");
    say(&heads());
    for figure in &medians {
        say(&figure.line());
    }
    let table = table::table(&medians);
    say(&format!("\n{table}"));
    if let Some(page) = &args.page {
        table::put(&table, page)?;
    }
    if args.is_wanted("fetch") {
        for rows in args.sizes() {
            let figure = fetch::report(rows).await?;
            say(&figure.line());
            medians.push(figure);
        }
        say(&format!("the fetcher's daily sync, cold: {:.0?}", fetch::daily_sync().await?));
        let smallest = fetch::smallest_sync().await?;
        say(&format!("the smallest sync, until it is stored: {smallest:.0?}"));
    }
    if args.peers {
        for fetcher in peers::Fetcher::ALL.into_iter().filter(|f| args.is_wanted(f.phase())) {
            let figure = peers::fetch(fetcher, args.peer_rows, say).await?;
            say(&figure.line());
            medians.push(figure);
        }
        for verdict in peers::verdicts(&medians, args.peer_rows) {
            say(&verdict);
        }
    }
    plot::draw(&medians, &args.svg)?;
    let json = serde_json::to_string_pretty(&medians)?;
    fs::write(&args.json, json)
        .with_context(|| format!("could not write {}", args.json.display()))?;
    Ok(())
}

impl BenchArgs {
    /// How many rows are measured; as many as the peers get, too.
    fn sizes(&self) -> Vec<u32> {
        let mut sizes = self.rows.clone();
        if self.peers && !sizes.contains(&self.peer_rows) {
            sizes.insert(0, self.peer_rows);
        }
        sizes
    }

    fn is_wanted(&self, phase: &str) -> bool {
        self.only.as_ref().is_none_or(|only| phase.contains(only))
    }
}

/// Everything once. The ceiling comes first, and every ratio of the round is to it.
async fn round(
    bench: &mut Bench<'_>,
    args: &BenchArgs,
    rows: u32,
    figures: &mut Vec<Figure>,
    say: fn(&str),
) -> Result<()> {
    let mut ceilings = [1, 2].map(|connections| (connections, Copied::default()));
    for (connections, copied) in &mut ceilings {
        *copied = ceiling::copy(bench.world, rows, *connections).await?;
    }
    let ceiling = ceilings
        .iter()
        .find(|(connections, _)| *connections == args.writers.saturating_sub(1).max(1))
        .map_or(f64::MAX, |(_, copied)| copied.seconds)
        .min(ceilings[0].1.seconds);
    let mut keep = |figure: Figure| {
        let of_copy = figure.rows_per_second() * ceiling / f64::from(rows);
        let figure = Figure { of_copy, ..figure };
        say(&figure.line());
        figures.push(figure);
    };
    for (connections, Copied { seconds, cpu }) in ceilings {
        let phase = format!("COPY binary, {connections} conn.");
        let cpu = [("postgres".to_owned(), cpu * 1e6 / f64::from(rows))].into();
        keep(Figure { phase, rows, seconds, cpu, ..Figure::default() });
    }
    for history in ["off", "on"] {
        bench.history = history;
        if !args.is_wanted(history) {
            continue;
        }
        bench.reset().await?;
        let named = |what: &str| format!("{what}, history {history}");
        keep(bench.sync(&named("fresh load"), rows, Version::First).await?);
        if history == "off" {
            keep(bench.replay("replay", rows).await?);
        }
        if history == "on" {
            keep(bench.sync("unchanged", rows, Version::First).await?);
            keep(bench.short_listings("short listings", rows).await?);
        }
        keep(bench.sync(&named("a tenth changed"), rows, Version::TenthChanged).await?);
    }
    if args.peers && rows == args.peer_rows {
        for loader in peers::Loader::ALL.into_iter().filter(|l| args.is_wanted(l.phase())) {
            keep(peers::load(bench, loader, rows, say).await?);
        }
    }
    Ok(())
}
