//! What most hours went to, and how much of them is billable: bars beside their names, which say the colours too.

use maud::{Markup, html};

use super::colors::Colors;
use crate::hours::numbers::{decimal, percent};
use crate::hours::report::{Report, Sums};

pub(super) fn top(report: &Report, colors: &Colors<'_>) -> Markup {
    let Some(dimension) = report.timeline.dimension else { return html! {} };
    let most = colors.shown.first().map_or(0, |shown| shown.seconds).max(colors.other_seconds);
    let total = report.total.seconds;
    html! {
        section {
            h2 { "By " (dimension.title()) }
            div.bars {
                @for shown in &colors.shown {
                    (bar(shown.key.words(), shown.seconds, most, total, shown.color))
                }
                @if colors.other_count > 0 {
                    (bar(&format!("{} others", colors.other_count), colors.other_seconds, most, total, Colors::OTHERS))
                }
            }
        }
    }
}

fn bar(name: &str, seconds: i64, most: i64, total: i64, color: &str) -> Markup {
    html! {
        div {
            span.name { (name) }
            svg.bar aria-hidden="true" {
                rect x="0" y="0" height="100%" width={ (percent(seconds, most)) "%" } rx="2" fill=(color) {}
            }
            span.number { (decimal(seconds)) }
            span.number.dim { (percent(seconds, total)) "%" }
        }
    }
}

pub(super) fn billable(total: &Sums) -> Markup {
    let share = percent(total.billable_seconds, total.seconds);
    html! {
        section {
            h2 { "Billable" }
            svg.share role="img" aria-label={ (share) " percent are billable" } {
                rect.rest x="0" y="0" width="100%" height="100%" rx="3" {}
                rect.good x="0" y="0" width={ (share) "%" } height="100%" rx="3" {}
            }
            p.ends {
                span { (decimal(total.billable_seconds)) " h billable (" (share) "%)" }
                span.dim { (decimal(total.seconds - total.billable_seconds)) " h not billable" }
            }
        }
    }
}
