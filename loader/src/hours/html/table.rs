//! The table: each group with its hours, and what is in it below.

use maud::{Markup, html};

use crate::hours::numbers::{decimal, money, percent};
use crate::hours::report::{Report, Sums};

pub(super) fn table(report: &Report) -> Markup {
    let currencies: Vec<&str> = report.currencies().collect();
    let titles: Vec<&str> = report.by.iter().map(|by| by.title()).collect();
    let is_nested = report.by.len() > 1;
    html! {
        section {
            h2 { "All of it" }
            table {
                thead { tr {
                    th { (titles.join(", ")) }
                    th { "hours" }
                    th.minor { "share" }
                    th.minor { "billable" }
                    @for currency in &currencies { th { (currency) } }
                } }
                tbody {
                    @for group in &report.groups {
                        @let depth = group.keys.len();
                        tr.outer[is_nested && depth == 1] {
                            td class={ "in" (depth) } {
                                @if let Some(key) = group.keys.last() { (key.words()) }
                            }
                            (numbers(&group.sums, &report.total, &currencies))
                        }
                    }
                }
                tfoot { tr {
                    td { "Total" }
                    (numbers(&report.total, &report.total, &currencies))
                } }
            }
        }
    }
}

fn numbers(sums: &Sums, total: &Sums, currencies: &[&str]) -> Markup {
    html! {
        td { (decimal(sums.seconds)) }
        td.minor { (percent(sums.seconds, total.seconds)) "%" }
        td.minor { (decimal(sums.billable_seconds)) }
        @for currency in currencies {
            td { @if let Some(amount) = sums.amounts.get(*currency) { (money(*amount)) } }
        }
    }
}
