use jiff::civil::date;
use unicode_width::UnicodeWidthStr as _;

use super::*;

fn week(projects: usize) -> Week {
    let monday = date(2026, 11, 23);
    let work = (0..projects).flat_map(|place| {
        (0_i32..5).map(move |day| Work {
            day: monday + i64::from(day).days(),
            project: format!("Project {place} with a rather long name \u{1b}[2J"),
            client: "数据".to_owned(),
            color: "#0b83d9".to_owned(),
            hours: 0.5 + f64::from(day) / 2.0,
        })
    });
    Week { person: "Nora".to_owned(), monday, work: work.collect() }
}

#[test]
fn no_line_is_longer_than_the_paper_and_plain_paper_gets_plain_text() {
    for columns in [40, 80, 110] {
        for line in chart(&week(12), Paper { columns, ink: Ink::None }) {
            assert!(line.width() <= columns, "{columns}: {line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn bars_are_as_long_as_their_hours_and_made_of_the_letters_of_their_projects() {
    let lines = chart(&week(2), Paper { columns: 80, ink: Ink::None });

    assert!(
        lines[0].starts_with("Nora: 15.00 hours from 23 November to 29 November 2026"),
        "{}",
        lines[0]
    );
    let letters = |line: &str, letter: char| line.chars().skip(8).filter(|c| *c == letter).count();
    let counts: Vec<_> =
        lines[2..7].iter().map(|line| (letters(line, 'A'), letters(line, 'B'))).collect();
    // The longest fills the 64 cells that are left, half by half.
    assert_eq!(counts, [(6, 7), (13, 13), (19, 19), (26, 25), (32, 32)]);
    assert!(lines[6].ends_with("   5.00"), "{}", lines[6]);
}

#[test]
fn what_has_no_line_of_its_own_is_told_together_and_nothing_is_lost() {
    let lines = chart(&week(12), Paper { columns: 80, ink: Ink::None });

    let legend: Vec<&String> = lines.iter().rev().take(MOST_PROJECTS).collect();
    assert!(legend[0].contains("other projects"), "{legend:?}");
    let hours: f64 =
        legend.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((hours - 90.0).abs() < 0.01, "{hours}");
}

#[test]
fn a_weekend_is_shown_when_somebody_worked() {
    let mut week = week(1);
    let shown = |week: &Week| chart(week, Paper { columns: 80, ink: Ink::None }).join("\n");
    assert!(!shown(&week).contains("Sat 28"));
    week.work[0].day = date(2026, 11, 28);
    assert!(shown(&week).contains("Sat 28") && !shown(&week).contains("Sun 29"));
}
