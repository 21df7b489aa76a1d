//! What was measured, as text, JSON, and medians of several rounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One phase of one round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Figure {
    /// What was done, such as `fresh load`.
    pub(super) phase: String,
    pub(super) rows: u32,
    /// How many of them a peer kept; ours fail when one is missing.
    pub(super) stored: Option<u32>,
    pub(super) seconds: f64,
    /// Times as fast as the ceiling measured beside it: COPY over as many connections as there are
    /// writers.
    pub(super) of_copy: f64,
    /// The least and the most of that over all rounds, where there were several.
    pub(super) spread: Option<(f64, f64)>,
    /// CPU microseconds per row by process.
    pub(super) cpu: BTreeMap<String, f64>,
    /// Of the worker that was measured.
    pub(super) peak_mib: Option<f64>,
    pub(super) wal_bytes_per_row: Option<f64>,
    pub(super) stream_bytes_per_row: Option<f64>,
}

impl Figure {
    /// A row that was lost does not count.
    pub(super) fn rows_per_second(&self) -> f64 {
        f64::from(self.stored.unwrap_or(self.rows)) / self.seconds
    }

    pub(super) fn line(&self) -> String {
        let optional = |value: Option<f64>, decimals: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
        };
        let cpu: Vec<_> = self.cpu.iter().map(|(name, us)| format!("{name} {us:.2}")).collect();
        format!(
            "{:<28} {:>9} {:>11} {:>8.2} {:>9.0} {:>6.2} {:>11} {:>6} {:>7} {:>7}  {}",
            self.phase,
            self.rows,
            self.stored.map_or_else(|| "-".to_owned(), |stored| stored.to_string()),
            self.seconds,
            self.rows_per_second(),
            self.of_copy,
            self.spread.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.2}-{high:.2}")),
            optional(self.peak_mib, 1),
            optional(self.wal_bytes_per_row, 1),
            optional(self.stream_bytes_per_row, 1),
            cpu.join(", ")
        )
    }
}

/// The heads of [`Figure::line`].
pub(super) fn heads() -> String {
    format!(
        "{:<28} {:>9} {:>11} {:>8} {:>9} {:>6} {:>11} {:>6} {:>7} {:>7}  {}",
        "phase",
        "rows",
        "rows stored",
        "seconds",
        "rows/s",
        "×COPY",
        "of rounds",
        "MiB",
        "WAL/row",
        "JS/row",
        "CPU µs per row"
    )
}

/// Of each phase and size the round in the middle by its ratio to the ceiling of its own round.
pub(super) fn medians(figures: &[Figure]) -> Vec<Figure> {
    let mut order: Vec<(&str, u32)> = Vec::new();
    let mut rounds: BTreeMap<(&str, u32), Vec<&Figure>> = BTreeMap::new();
    for figure in figures {
        let key = (figure.phase.as_str(), figure.rows);
        if !order.contains(&key) {
            order.push(key);
        }
        rounds.entry(key).or_default().push(figure);
    }
    let medians = order.into_iter().filter_map(|key| {
        let mut rounds = rounds.remove(&key)?;
        rounds.sort_by(|a, b| a.of_copy.total_cmp(&b.of_copy));
        let middle = rounds.get(rounds.len() / 2)?;
        let spread = match rounds.as_slice() {
            [low, .., high] => Some((low.of_copy, high.of_copy)),
            _ => None,
        };
        Some(Figure { spread, ..(*middle).clone() })
    });
    medians.collect()
}
