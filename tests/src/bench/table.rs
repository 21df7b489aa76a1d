//! The figures as a table for people, on a page of the documentation.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::figures::Figure;

/// What stands around the table on a page.
const BEGIN: &str = "<!-- table: made by `cargo sandbox bench --page FILE` -->";
const END: &str = "<!-- end of table -->";

/// In Markdown, a line for each phase; CPU is in microseconds a row.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut table = "| | rows a second | × `COPY` | of all rounds | Postgres | loader | NATS | WAL bytes a row |\n\
                     |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for figure in figures {
        let cpu = |process: &str, decimals| number(figure.cpu.get(process).copied(), decimals);
        let spread = figure.spread.map(|(low, high)| format!("{low:.2} to {high:.2}"));
        // Writing to a string cannot fail.
        _ = writeln!(
            table,
            "| {} | {} | {:.2} | {} | {} | {} | {} | {} |",
            figure.phase,
            thousands(figure.rows_per_second()),
            figure.of_copy,
            spread.unwrap_or_default(),
            cpu("postgres", 1),
            cpu("loader", 2),
            cpu("nats", 2),
            number(figure.wal_bytes_per_row, usize::from(figure.wal_bytes_per_row < Some(10.0))),
        );
    }
    table
}

/// Puts the table in the place of the one that the page has.
pub(super) fn put(table: &str, page: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page)
        .with_context(|| format!("could not read {}", page.display()))?;
    let text = replaced(&text, table)
        .with_context(|| format!("{} has no place for a table: {BEGIN} … {END}", page.display()))?;
    std::fs::write(page, text).with_context(|| format!("could not write {}", page.display()))
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map(|value| format!("{value:.decimals$}")).unwrap_or_default()
}

/// As 108,000: more figures than that are the machine's mood.
fn thousands(value: f64) -> String {
    let thousands = (value / 1_000.0).round();
    if thousands < 1.0 {
        format!("{value:.0}")
    } else if thousands < 1_000.0 {
        format!("{thousands:.0},000")
    } else {
        format!("{:.0},{:03.0},000", (thousands / 1_000.0).floor(), thousands % 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(of_copy: f64) -> Figure {
        Figure {
            phase: "replay".to_owned(),
            rows: 1_000_000,
            seconds: 10.0,
            of_copy,
            spread: Some((0.7, 0.9)),
            cpu: [("postgres".to_owned(), 16.44)].into(),
            wal_bytes_per_row: Some(814.6),
            ..Figure::default()
        }
    }

    #[test]
    fn a_million_rows_a_second_have_two_commas() {
        let written = [412.4, 45_200.0, 999_600.0, 1_187_898.0, 12_003_400.0].map(thousands);
        assert_eq!(written, ["412", "45,000", "1,000,000", "1,188,000", "12,003,000"]);
    }

    #[test]
    fn a_line_tells_the_ratio_its_spread_and_what_it_costs() {
        let table = table(&[figure(0.8)]);
        let line = "| replay | 100,000 | 0.80 | 0.70 to 0.90 | 16.4 |  |  | 815 |";
        assert_eq!(table.lines().nth(2), Some(line));
    }

    #[test]
    fn a_page_keeps_what_stands_around_its_table() {
        let page = format!("before\n\n{BEGIN}\n| old |\n{END}\n\nafter\n");
        let replaced = replaced(&page, "| new |\n").unwrap();
        assert_eq!(replaced, format!("before\n\n{BEGIN}\n| new |\n{END}\n\nafter\n"));
        assert_eq!(super::replaced("no table", "| new |"), None);
    }
}
