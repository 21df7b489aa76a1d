//! What people use today, in the same run: dlt and two Singer targets load the same entries into the
//! same Postgres, dlt and a Singer tap fetch the same report from the same simulated Toggl.
//!
//! Each gets what makes it fast as far as its own documentation tells, and its clock runs from when
//! its code is loaded. The versions are pinned (`peers/*.txt`), an environment for each, since their
//! dependencies contradict each other.

mod fetch;
mod load;
mod pins;
mod program;

use anyhow::Result;

pub(super) use self::fetch::{Fetcher, fetch};
pub(super) use self::load::{Loader, load};
use super::figures::Figure;

/// Makes what is missing, so that nothing is measured before a download fails.
pub(super) async fn prepare() -> Result<()> {
    for environment in [&pins::DLT, &pins::MELTANO, &pins::PIPELINEWISE, &pins::TAP] {
        tokio::task::spawn_blocking(|| environment.python()).await??;
    }
    Ok(())
}

/// How many times as fast as the best peer ours is: the load, without history as theirs is and with it,
/// and the fetch.
pub(super) fn verdicts(figures: &[Figure], rows: u32) -> Vec<String> {
    let (loaders, fetchers) = (Loader::ALL.map(Loader::phase), Fetcher::ALL.map(Fetcher::phase));
    let load = |ours| verdict(figures, rows, ours, &loaders);
    let fetch = verdict(figures, rows, "fetch a report", &fetchers);
    let loads = [load("fresh load, history off"), load("fresh load, history on")];
    loads.into_iter().chain([fetch]).flatten().collect()
}

/// A peer that lost rows is not among the best.
fn verdict(figures: &[Figure], rows: u32, ours: &str, peers: &[&str]) -> Option<String> {
    let of = |phase: &str| figures.iter().find(|f| f.phase == phase && f.rows == rows);
    let ours = of(ours)?;
    let whole = peers.iter().filter_map(|p| of(p)).filter(|f| f.stored == Some(rows));
    let best = whole.max_by(|a, b| a.rows_per_second().total_cmp(&b.rows_per_second()))?;
    let times = ours.rows_per_second() / best.rows_per_second();
    Some(format!("ours ÷ best peer, {rows} rows: {times:.1} ({} ÷ {})", ours.phase, best.phase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(phase: &str, seconds: f64, stored: Option<u32>) -> Figure {
        Figure { phase: phase.to_owned(), rows: 100, seconds, stored, ..Figure::default() }
    }

    #[test]
    fn best_peer_is_the_fastest_that_lost_nothing() {
        let figures = [
            figure("ours", 1.0, None),
            figure("slow", 10.0, Some(100)),
            figure("good", 5.0, Some(100)),
            figure("loses", 0.5, Some(99)),
        ];
        let verdict = verdict(&figures, 100, "ours", &["slow", "good", "loses"]).unwrap();
        assert_eq!(verdict, "ours ÷ best peer, 100 rows: 5.0 (ours ÷ good)");
    }
}
