//! How the memory of both programs grows with an inventory: not at all, if long answers are asked for in
//! parts. Prints the peaks for inventories of 500,000 and 5,000,000 entries, and their ratios.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::servers::wait_for;
use tests::toggl::{Account, AccountSize, SummaryGroups};
use tests::workers::Resident;
use tests::world::World;

const SIZES: [usize; 2] = [500_000, 5_000_000];
const DEADLINE: Duration = Duration::from_mins(20);

#[tokio::main]
async fn main() -> Result<()> {
    println!(
        "{:>9} {:>8} {:>9} {:>12} {:>11}",
        "entries", "requests", "seconds", "fetcher MiB", "loader MiB"
    );
    let mut peaks = Vec::new();
    for entries in SIZES {
        peaks.push(verification(entries).await?);
    }
    if let [small, large] = peaks.as_slice() {
        let (fetcher, loader) = (large[0] / small[0], large[1] / small[1]);
        println!("ten times the entries take {fetcher:.2} and {loader:.2} times the memory");
    }
    Ok(())
}

/// Peaks of the fetcher and of the loader, in MiB.
async fn verification(entries: usize) -> Result<[f64; 2]> {
    let size = AccountSize {
        users: 30,
        entry_users: 30,
        time_entries: entries,
        days: 3 * 365,
        ..AccountSize::default()
    };
    let world = World::start(Account::generate(&size)).await?;
    world.toggl.configure(|behaviour| behaviour.summary_groups = SummaryGroups::OfOne);
    let loader = world.start_loader().await?;
    let from = jiff::Zoned::now().date().checked_sub(jiff::Span::new().days(3 * 365))?;
    let started = Instant::now();
    let fetcher = world.fetcher(&["verify", "--from", &from.to_string()]).start().await?;
    let mut peak_kib = 0;
    wait_for("the end of the verification", DEADLINE, || {
        peak_kib = fetcher.peak_memory().unwrap_or(peak_kib);
        std::future::ready(fetcher.exit_code())
    })
    .await?;
    ensure!(fetcher.exit_code() == Some(0), "the fetcher failed: {}", fetcher.log());
    let seconds = started.elapsed().as_secs_f64();
    world.loaded_within(DEADLINE).await?;
    let peaks = [mib(peak_kib), mib(peak_of(&loader))];
    let requests = world.toggl.count("/reports/");
    let [fetcher, loader] = peaks;
    println!("{entries:>9} {requests:>8} {seconds:>9.1} {fetcher:>12.1} {loader:>11.1}");
    Ok(peaks)
}

fn peak_of(program: &Resident) -> u64 {
    program.peak_memory().unwrap_or_default()
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
