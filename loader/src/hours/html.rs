//! The report as one page, which needs nothing else: no script, no picture, no font. On a phone, in the dark and on
//! paper it looks as it should there.

mod bars;
mod colors;
mod table;
mod timeline;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};

use self::bars::{billable, top};
use self::colors::Colors;
use self::table::table;
use self::timeline::timeline;
use super::numbers::{days, decimal, percent, whole};
use super::report::Report;
use crate::status::proof::grouped;
use crate::status::words::time;

const CSS: &str = include_str!("html/hours.css");

pub(super) fn html(report: &Report) -> String {
    let colors = Colors::of(&report.timeline);
    let title = format!("Hours, {}", days(report.from, report.to));
    // Only the page's own style is used, known by its digest.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(digest(&SHA256, CSS.as_bytes()))
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(CSS)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.dim { (subtitle(report)) }
                }
                (tiles(report))
                (timeline(&report.timeline, &colors))
                (top(report, &colors))
                (billable(&report.total))
                (table(report))
                (foot(report))
            }
        }
    };
    page.into_string()
}

fn subtitle(report: &Report) -> String {
    let by: Vec<&str> = report.by.iter().map(|by| by.title()).collect();
    let mut words = vec![format!("By {}.", listed(&by))];
    for (what, names) in &report.only {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        words.push(format!("Only {what} {}.", listed(&names)));
    }
    words.push(match &report.time_zone {
        Some(zone) => format!("Days begin at midnight in {zone}."),
        None => "Days begin at midnight where each person is.".to_owned(),
    });
    words.join(" ")
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn tiles(report: &Report) -> Markup {
    let total = &report.total;
    html! {
        section.tiles {
            (tile(&decimal(total.seconds), "hours"))
            (tile(&format!("{}%", percent(total.billable_seconds, total.seconds)), "billable"))
            @for (currency, amount) in &total.amounts { (tile(&whole(*amount), currency)) }
            (tile(&grouped(report.people), if report.people == 1 { "person" } else { "people" }))
            (tile(&grouped(total.entries), if total.entries == 1 { "entry" } else { "entries" }))
        }
    }
}

fn tile(number: &str, words: &str) -> Markup {
    html! { div { strong { (number) } span.dim { (words) } } }
}

fn foot(report: &Report) -> Markup {
    let is_proven = report.trust.proof.is_equal();
    html! {
        footer {
            @for note in report.notes() { p { (said(&note)) } }
            p { (said(&report.trust.asked_words())) }
            p.good[is_proven].open[!is_proven] { (said(&report.trust.proof.words())) }
            p.dim { "Made at " (time(report.made_at)) " UTC by loader hours." }
        }
    }
}

/// Words with commands in them, which stand between backticks.
fn said(words: &str) -> Markup {
    html! {
        @for (place, part) in words.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}
