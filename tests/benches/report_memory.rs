//! How the fetcher's memory grows with the length of a report: not at all, if pages are sent as they
//! come. Prints peak memory and pace for reports of 50,000 and 500,000 entries, and their ratio.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::servers::{NatsOptions, NatsServer, wait_for};
use tests::toggl::{Account, AccountSize, Simulator, TOKEN};
use tests::workers::Worker;

const SIZES: [usize; 2] = [50_000, 500_000];
const DEADLINE: Duration = Duration::from_mins(10);

/// What one report took.
struct Taken {
    peak_kib: u64,
    seconds: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    println!("{:>9} {:>9} {:>12} {:>10}", "entries", "seconds", "entries/s", "peak MiB");
    let mut peaks = Vec::new();
    for entries in SIZES {
        let Taken { peak_kib, seconds } = report(entries).await?;
        let (count, peak) =
            (f64::from(u32::try_from(entries)?), f64::from(u32::try_from(peak_kib)?));
        println!("{entries:>9} {seconds:>9.1} {:>12.0} {:>10.1}", count / seconds, peak / 1024.0);
        peaks.push(peak);
    }
    if let [small, large] = peaks.as_slice() {
        println!("ten times the entries take {:.2} times the memory", large / small);
    }
    Ok(())
}

async fn report(entries: usize) -> Result<Taken> {
    let size = AccountSize {
        users: 20,
        entry_users: 20,
        time_entries: entries,
        days: 3 * 365,
        ..AccountSize::default()
    };
    let toggl = Simulator::start(Account::generate(&size)).await;
    let nats = NatsServer::start(NatsOptions::default()).await?;
    let from = jiff::Zoned::now().date().checked_sub(jiff::Span::new().days(3 * 365 + 1))?;
    let started = Instant::now();
    let fetcher = Worker::new("fetcher", &["report", "--from", &from.to_string()])
        .env("NATS_URL", nats.url())
        .env("TOGGL_URL", toggl.url().as_str())
        .env("TOGGL_API_TOKEN", TOKEN)
        .env("TOGGL_REQUESTS_PER_SECOND", "100000")
        .env("TOGGL_BURST", "1000")
        .env("STREAM_MAX_BYTES", "-1")
        .start()
        .await?;
    let mut peak_kib = 0;
    wait_for("the end of the report", DEADLINE, || {
        peak_kib = fetcher.peak_memory().unwrap_or(peak_kib);
        std::future::ready(fetcher.exit_code())
    })
    .await?;
    ensure!(fetcher.exit_code() == Some(0), "the fetcher failed: {}", fetcher.log());
    Ok(Taken { peak_kib, seconds: started.elapsed().as_secs_f64() })
}
