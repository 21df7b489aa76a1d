//! CSV as RFC 4180 has it: a row for each group. It begins with a byte order mark, without which spreadsheets take
//! UTF-8 for something else.

use super::numbers::{plain, plain_money};
use super::report::{Group, Report};

const MARK: &str = "\u{feff}";

pub(super) fn csv(report: &Report) -> String {
    let mut text = MARK.to_owned();
    let currencies: Vec<&str> = report.currencies().collect();
    push(&mut text, &titles(report, &currencies));
    for group in report.rows() {
        push(&mut text, &cells(group, &currencies));
    }
    text
}

fn titles(report: &Report, currencies: &[&str]) -> Vec<String> {
    let mut titles = Vec::new();
    for dimension in &report.by {
        titles.push(dimension.name().to_owned());
        if dimension.has_id() {
            titles.push(format!("{}_id", dimension.name()));
        }
    }
    titles.extend(["hours", "billable_hours", "entries"].map(str::to_owned));
    titles.extend(currencies.iter().map(|currency| safe(&format!("amount_{currency}"))));
    titles
}

fn cells(group: &Group, currencies: &[&str]) -> Vec<String> {
    let mut cells = Vec::new();
    for key in &group.keys {
        cells.push(safe(key.label.as_deref().unwrap_or_default()));
        if key.dimension.has_id() {
            cells.push(key.id.clone().unwrap_or_default());
        }
    }
    let sums = &group.sums;
    cells.extend([plain(sums.seconds), plain(sums.billable_seconds), sums.entries.to_string()]);
    let amounts = currencies.iter().map(|currency| sums.amounts.get(*currency));
    cells.extend(
        amounts.map(|amount| amount.map_or_else(String::new, |amount| plain_money(*amount))),
    );
    cells
}

/// A name that a spreadsheet would reckon with gets an apostrophe, which it shows as text.
fn safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn push(text: &mut String, cells: &[String]) {
    let quoted: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    text.push_str(&quoted.join(","));
    text.push_str("\r\n");
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_formula_is_a_text_and_separators_are_quoted() {
        for (name, expected) in [
            ("Acme", "Acme"),
            ("=HYPERLINK(\"http://evil\",\"x\")", "\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-2", "'-2"),
            ("@sum", "'@sum"),
            ("\tx", "'\tx"),
            ("a,b\nc", "\"a,b\nc\""),
        ] {
            assert_eq!(quoted(&safe(name)), expected);
        }
    }
}
