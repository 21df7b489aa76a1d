//! A bar for each minute of the last hour.

use std::collections::VecDeque;

use maud::{Markup, html};

use super::minutes::Minute;

/// In units of the drawing, which is stretched to the width there is.
const STEP: i64 = 10;
const BAR: i64 = 8;
const HEIGHT: u64 = 100;
const MINUTES: i64 = 60;

/// What is not known has no bar; what is above nothing has one that can be seen.
pub(super) fn plot(
    title: &str,
    minutes: &VecDeque<Minute>,
    value: impl Fn(&Minute) -> Option<u64>,
) -> Markup {
    let most = minutes.iter().filter_map(&value).max().unwrap_or(0);
    let now = minutes.back().map_or(0, |minute| minute.number);
    let bars = minutes.iter().filter_map(|minute| {
        let height = height(value(minute)?, most);
        let place = MINUTES - 1 - (now - minute.number);
        (height > 0 && place >= 0).then_some((place * STEP, HEIGHT - height, height))
    });
    html! {
        figure {
            figcaption { span { (title) } span { "most: " (most) } }
            svg viewBox={ "0 0 " (MINUTES * STEP) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ (title) ", by minute; most: " (most) } {
                @for (x, y, height) in bars { rect x=(x) y=(y) width=(BAR) height=(height) {} }
            }
            figcaption { span { "an hour ago" } span { "now" } }
        }
    }
}

fn height(value: u64, most: u64) -> u64 {
    if value == 0 {
        return 0;
    }
    let height = u128::from(value) * u128::from(HEIGHT) / u128::from(most.max(1));
    u64::try_from(height).unwrap_or(HEIGHT).clamp(2, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &[(i64, u64)]) -> String {
        let minutes = values
            .iter()
            .map(|(number, rows)| Minute { number: *number, rows: *rows, lag: None })
            .collect();
        plot("rows", &minutes, |minute| Some(minute.rows)).into_string()
    }

    #[test]
    fn the_last_minute_stands_at_the_right_and_the_greatest_value_at_the_top() {
        let drawn = drawn(&[(940, 7), (941, 50), (1_000, u64::MAX)]);
        assert!(drawn.contains(r#"<rect x="590" y="0" width="8" height="100">"#), "{drawn}");
        assert!(drawn.contains(r#"<rect x="0" y="98" width="8" height="2">"#), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 2, "an hour and no more: {drawn}");
    }

    #[test]
    fn nothing_has_no_bar() {
        assert!(!drawn(&[(1, 0), (2, 0)]).contains("<rect"));
        assert!(drawn(&[]).contains("most: 0"));
    }
}
