//! Serves the sample account as Toggl Track does, until it is ended; its output is the address.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::future::pending;

use clap::Parser;
use jiff::Timestamp;
use tests::toggl::{Account, Simulator};

/// Serves a sample account as Toggl Track does, on a free port of this machine, until it is ended. It prints its
/// address, which the fetcher takes as --toggl-url.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {}

fn main() -> std::io::Result<()> {
    Cli::parse();
    let mut account = Account::sample_at(Timestamp::now());
    // Not UTC: the fetcher's image has to know time zones.
    account.set_time_zone("Asia/Tokyo");
    tokio::runtime::Runtime::new()?.block_on(async {
        let simulator = Simulator::start(account).await;
        println!("{}", simulator.url());
        pending().await
    })
}
