//! Hours along the days, a bar each, piled up by colour. Places are percents, so that the drawing takes the width
//! there is and its words keep their size.

use jiff::civil::{Date, Weekday};
use maud::{Markup, html};

use super::colors::Colors;
use crate::hours::numbers::decimal;
use crate::hours::report::{Key, Step, Timeline};
use crate::hours::span::Unit;
use crate::status::proof::grouped;

/// In percent of the drawing: its left margin, and where hours begin and end.
const LEFT: f64 = 8.0;
const BOTTOM: f64 = 90.0;
const TOP: f64 = 9.0;
/// Of the place of a step, its bar takes this part, and no more than so many percent.
const PART: f64 = 0.78;
const WIDEST: f64 = 10.0;
/// Steps with a word below them, so that they fit on a phone.
const MOST_WORDS: usize = 6;

struct Bar {
    x: f64,
    width: f64,
    middle: f64,
    pieces: Vec<Piece>,
}

struct Piece {
    y: f64,
    height: f64,
    color: String,
    words: String,
}

pub(super) fn timeline(timeline: &Timeline, colors: &Colors<'_>) -> Markup {
    let unit = timeline.unit.column();
    let most = timeline.steps.iter().map(|step| sum(&step.piles)).max().unwrap_or(0);
    let grid = Grid::up_to(most);
    let bars = bars(timeline, colors, &grid);
    let words = words(timeline);
    html! {
        figure {
            figcaption { h2 { "Hours by " (unit) } }
            svg.timeline role="img" aria-label={ "Hours by " (unit) "; the most: " (decimal(most)) } {
                @for (hours, y) in grid.lines() {
                    line x1="0" x2="100%" y1=(percents(y)) y2=(percents(y)) {}
                    text x="0" y=(percents(y)) dy="-4" { (hours) }
                }
                @for bar in &bars { @for piece in &bar.pieces {
                    rect x=(percents(bar.x)) width=(percents(bar.width)) y=(percents(piece.y))
                        height=(percents(piece.height)) fill=(piece.color) { title { (piece.words) } }
                } }
                @for (bar, words) in bars.iter().zip(&words) { @if let Some(words) = words {
                    @let is_last = bar.middle > 94.0;
                    text x=(if is_last { "100%".to_owned() } else { percents(bar.middle) }) y="99%"
                        text-anchor=(if is_last { "end" } else { "middle" }) { (words) }
                } }
            }
        }
    }
}

fn bars(timeline: &Timeline, colors: &Colors<'_>, grid: &Grid) -> Vec<Bar> {
    let place = (100.0 - LEFT) / to_f64(timeline.steps.len().max(1));
    let width = (place * PART).min(WIDEST);
    let steps = timeline.steps.iter().enumerate();
    let bar = |(number, step): (usize, &Step)| {
        let middle = LEFT + place * (to_f64(number) + 0.5);
        Bar { x: middle - width / 2.0, width, middle, pieces: pieces(step, colors, grid, timeline) }
    };
    steps.map(bar).collect()
}

/// From the bottom up, in the order of the colours.
fn pieces(step: &Step, colors: &Colors<'_>, grid: &Grid, timeline: &Timeline) -> Vec<Piece> {
    let piles = &step.piles;
    let seconds_of = |key: &Key| {
        piles.iter().find(|(known, _)| known.is(key)).map_or(0, |(_, seconds)| *seconds)
    };
    let mut known = 0;
    let mut all: Vec<(i64, String, String)> = Vec::new();
    for shown in &colors.shown {
        let seconds = seconds_of(shown.key);
        known += seconds;
        let name = shown.key.words();
        all.push((seconds, shown.color.to_owned(), name.to_owned()));
    }
    all.push((sum(piles) - known, Colors::OTHERS.to_owned(), "others".to_owned()));
    let mut below = 0;
    let day = said(step.first_day, timeline.unit);
    let mut pieces = Vec::new();
    for (seconds, color, name) in all.into_iter().filter(|(seconds, ..)| *seconds > 0) {
        below += seconds;
        let (y, height) = (grid.y(below), grid.height(seconds));
        let name = if timeline.dimension.is_none() { String::new() } else { format!("{name} ") };
        pieces.push(Piece {
            y,
            height,
            color,
            words: format!("{day}: {name}{} h", decimal(seconds)),
        });
    }
    pieces
}

fn said(step: Date, unit: Unit) -> String {
    let format = match unit {
        Unit::Day => "%a %-d %B",
        Unit::Week => "week of %-d %B",
        Unit::Month => "%B %Y",
    };
    step.strftime(format).to_string()
}

/// What stands below the bars, and not below each of them.
fn words(timeline: &Timeline) -> Vec<Option<String>> {
    let count = timeline.steps.len();
    let every = count.div_ceil(MOST_WORDS).max(1);
    let by_week = timeline.unit == Unit::Day && count > MOST_WORDS + 1;
    let format = match timeline.unit {
        Unit::Day if count <= MOST_WORDS + 1 => "%a %-d",
        Unit::Day | Unit::Week => "%-d %b",
        Unit::Month => "%b %y",
    };
    let steps = timeline.steps.iter().enumerate();
    let word = |(number, step): (usize, &Step)| {
        let day = step.first_day;
        let is_said =
            if by_week { day.weekday() == Weekday::Monday } else { number.is_multiple_of(every) };
        (is_said || count <= MOST_WORDS + 1).then(|| day.strftime(format).to_string())
    };
    steps.map(word).collect()
}

fn sum(piles: &[(Key, i64)]) -> i64 {
    piles.iter().map(|(_, seconds)| seconds).sum()
}

/// Lines at round numbers of hours.
#[derive(Debug, PartialEq, Eq)]
struct Grid {
    /// Seconds from one line to the next.
    step: i64,
    /// Seconds of the highest line.
    top: i64,
}

impl Grid {
    /// Three to six of them.
    fn up_to(most: i64) -> Self {
        let mut step = 1_800;
        // 0.5, 1, 2, 5, 10, 20, 50 and so on.
        let mut growth = [(2, 1), (2, 1), (5, 2)].into_iter().cycle();
        while most > step * 5 {
            let Some((by, of)) = growth.next() else { break };
            step = step * by / of;
        }
        let lines = most.max(1).div_euclid(step) + i64::from(most.max(1).rem_euclid(step) > 0);
        Self { step, top: lines * step }
    }

    fn lines(&self) -> Vec<(String, f64)> {
        let mut lines = Vec::new();
        let mut at = 0;
        while at <= self.top {
            let hours = if at % 3_600 == 0 { grouped(at / 3_600) } else { decimal(at) };
            lines.push((hours, self.y(at)));
            at += self.step;
        }
        lines
    }

    fn y(&self, seconds: i64) -> f64 {
        BOTTOM - self.height(seconds)
    }

    fn height(&self, seconds: i64) -> f64 {
        from_seconds(seconds) / from_seconds(self.top) * (BOTTOM - TOP)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a drawing")]
const fn from_seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[expect(clippy::cast_precision_loss, reason = "for a drawing")]
const fn to_f64(count: usize) -> f64 {
    count as f64
}

fn percents(place: f64) -> String {
    format!("{place:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_at_round_hours_and_none_is_far_above_the_most() {
        let hours = |most: i64| {
            let grid = Grid::up_to(most * 3_600);
            (grid.step / 1_800, grid.top / 3_600)
        };
        // The first is in half hours.
        assert_eq!(hours(1), (1, 1));
        assert_eq!(hours(8), (4, 8));
        assert_eq!(hours(9), (4, 10));
        assert_eq!(hours(33), (20, 40));
        assert_eq!(hours(170), (100, 200));
        assert_eq!(hours(1_201), (1_000, 1_500));
        assert_eq!(Grid::up_to(0), Grid { step: 1_800, top: 1_800 });
    }
}
