//! A table for the terminal.

use super::numbers::{decimal, money, percent};
use super::report::{Report, Sums};

/// A name is cut after so many characters.
const MOST: usize = 32;

pub(super) fn text(report: &Report) -> String {
    let currencies: Vec<&str> = report.currencies().collect();
    let mut titles: Vec<String> = report.by.iter().map(|by| by.title().to_uppercase()).collect();
    titles.extend(["HOURS", "SHARE", "BILLABLE"].map(str::to_owned));
    titles.extend(currencies.iter().map(|currency| plain(currency)));
    let names = report.by.len();
    let mut rows = vec![titles];
    for group in report.rows() {
        let mut row: Vec<String> = group.keys.iter().map(|key| plain(key.words())).collect();
        row.extend(cells(&group.sums, &report.total, &currencies));
        rows.push(row);
    }
    let mut total = vec![String::new(); names];
    if let Some(first) = total.first_mut() {
        "Total".clone_into(first);
    }
    total.extend(cells(&report.total, &report.total, &currencies));
    rows.push(total);
    let mut lines = vec![format!("{}.", report.words()), String::new()];
    lines.extend(aligned(&rows, names));
    lines.push(String::new());
    lines.extend(report.notes());
    lines.extend([report.trust.asked_words(), report.trust.proof.words()]);
    lines.join("\n") + "\n"
}

fn cells(sums: &Sums, total: &Sums, currencies: &[&str]) -> Vec<String> {
    let mut cells = vec![
        decimal(sums.seconds),
        format!("{}%", percent(sums.seconds, total.seconds)),
        decimal(sums.billable_seconds),
    ];
    let amounts = currencies.iter().map(|currency| sums.amounts.get(*currency));
    cells.extend(
        amounts.map(|amount| amount.map_or_else(|| "-".to_owned(), |amount| money(*amount))),
    );
    cells
}

/// Without what would move the cursor, and no longer than a column may be.
fn plain(text: &str) -> String {
    let mut plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.chars().count() > MOST {
        plain = plain.chars().take(MOST - 1).collect();
        plain.push('…');
    }
    plain
}

/// Names to the left, numbers to the right.
fn aligned(rows: &[Vec<String>], names: usize) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let space = " ".repeat(width - cell.chars().count());
            if column < names { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_move_the_cursor_or_push_the_numbers_away() {
        let name = plain("a\u{1b}[2J\tname that is far too long for a column of a table");
        assert_eq!(name.chars().count(), MOST);
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}
