//! The page: what `loader status` says, and the last hour as plots. It has no script and loads nothing.

use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use axum::response::{Html, IntoResponse as _, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use uuid::Uuid;

use super::minutes::Minute;
use super::plot::plot;
use super::watch::Seen;
use crate::status::words::{UNKNOWN, known, time};
use crate::status::{Line, Status, Verdict, command};

const CSS: &str = include_str!("page.css");

/// The browser asks again after so many seconds; a loader looks no more often.
const REFRESH: u32 = 15;

/// Only the page's own style is used, known by a word that is new each time.
pub(super) fn response(seen: &Seen) -> Response {
    let nonce = Uuid::now_v7().simple().to_string();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let policy: [(HeaderName, String); 1] = [(CONTENT_SECURITY_POLICY, policy)];
    (policy, Html(page(seen, &nonce).into_string())).into_response()
}

fn page(seen: &Seen, nonce: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                title { "Toggl Track pipeline" }
                style nonce=(nonce) { (PreEscaped(CSS)) }
            }
            body {
                h1 { "Toggl Track pipeline" }
                @match &seen.status {
                    Some(status) => {
                        (whole(status))
                        (plots(seen))
                    }
                    None => {
                        p { (seen.pipeline.words()) }
                        p { "This loader has just started and not looked around yet." }
                    }
                }
            }
        }
    }
}

fn whole(status: &Status) -> Markup {
    html! {
        p.dim {
            "Seen " (second(status.at)) " UTC"
            @if let Some(counts) = &status.counts { "; rows counted " (second(counts.at)) }
            "; this page renews itself."
        }
        (verdict(status))
        @for line in command::summary(status) { p { (line) } }
        h2 { "Tables" }
        table {
            thead { tr {
                th { "Table" }
                @for (title, _) in COLUMNS { th { (title) } }
            } }
            tbody { @for line in status.lines() { (row(&line)) } }
        }
    }
}

fn verdict(status: &Status) -> Markup {
    let class = match status.verdict() {
        Verdict::Healthy => "healthy",
        Verdict::NeedsAttention => "attention",
        Verdict::OutOfReach => "away",
    };
    let attention = status.attention();
    html! {
        section.verdict.(class) {
            strong { (status.verdict().words()) }
            @if !attention.is_empty() { ul { @for words in &attention { li { (words) } } } }
        }
    }
}

/// Titles, and whether a cell wants a line of its own on a narrow screen.
const COLUMNS: [(&str, bool); 8] = [
    ("Live", false),
    ("Deleted", false),
    ("Complete (UTC)", true),
    ("Last change (UTC)", true),
    ("Pending", false),
    ("In flight", false),
    ("Dead", false),
    ("Oldest unloaded (UTC)", true),
];

fn row(line: &Line) -> Markup {
    let number = |number: Option<i64>| known(number, |number| number.to_string());
    let count = |count: Option<u64>| known(count, |count| count.to_string());
    let some = |number: i64| number > 0;
    let cells = [
        (number(line.rows_live), false),
        (number(line.rows_deleted), false),
        (line.complete(), false),
        (known(line.last_changed_at, time), false),
        (count(line.pending), line.pending.is_some_and(|pending| pending > 0)),
        (count(line.in_flight), false),
        (number(line.dead_letters), line.dead_letters.is_some_and(some)),
        (known(line.oldest_unloaded_at, time), false),
    ];
    html! {
        tr {
            td { (line.resource) }
            @for ((label, wide), (cell, marked)) in COLUMNS.iter().zip(cells) {
                td.wide[*wide].marked[marked].unknown[cell == UNKNOWN] data-label=(label) { (cell) }
            }
        }
    }
}

fn plots(seen: &Seen) -> Markup {
    let rows = |minute: &Minute| Some(minute.rows);
    html! {
        h2 { "The last hour, by minute" }
        div.plots {
            (plot("Rows received by this loader", &seen.minutes, rows))
            (plot("Batches not loaded yet, at most", &seen.minutes, |minute| minute.lag))
        }
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
