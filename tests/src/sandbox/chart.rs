//! A week as bars: a line a day, pieces by project. In colour pieces are blocks; without, the project's letter.

use jiff::civil::Date;
use jiff::{Span, ToSpan as _};

use super::paper::{Ink, Paper, fitted};
use super::week::{Week, Work};

/// Projects with a line of their own; the others stand together.
const MOST_PROJECTS: usize = 8;
/// `Mon 23  ` before a bar, `  12.34` behind it.
const BESIDE_BAR: usize = 8 + 8;
const NO_COLOR: &str = "#7b8a99";

/// A project of the legend.
struct Project<'a> {
    name: &'a str,
    client: &'a str,
    color: &'a str,
    hours: f64,
}

/// The lines of the chart, none longer than the paper is wide.
pub fn chart(week: &Week, paper: Paper) -> Vec<String> {
    let projects = projects(week);
    let mut lines = vec![paper.bold(&title(week, paper)), String::new()];
    let days: Vec<(Date, Vec<f64>)> = days(week)
        .map(|day| (day, projects.iter().map(|project| hours_on(week, day, project)).collect()))
        .collect();
    let longest = days.iter().map(|(_, hours)| hours.iter().sum::<f64>()).fold(1.0, f64::max);
    let room = paper.columns.saturating_sub(BESIDE_BAR).max(8);
    for (day, hours) in &days {
        let total: f64 = hours.iter().sum();
        let cells = cells(hours, longest, room);
        let bar: String = (0_u8..)
            .zip(cells.iter().zip(&projects))
            .map(|(place, (cells, project))| {
                let piece = mark(place, paper).to_string().repeat(*cells);
                paper.painted(&piece, project.color)
            })
            .collect();
        let rest = " ".repeat(room - cells.iter().sum::<usize>());
        lines.push(format!("{}  {bar}{rest}  {total:>5.2}", day.strftime("%a %d")));
    }
    lines.push(String::new());
    lines.extend((0_u8..).zip(&projects).map(|(place, project)| legend(place, project, paper)));
    lines
}

fn title(week: &Week, paper: Paper) -> String {
    let sunday = week.monday + 6.days();
    let words = format!(
        "{}: {:.2} hours from {} to {}",
        week.person,
        week.hours(),
        week.monday.strftime("%-d %B"),
        sunday.strftime("%-d %B %Y")
    );
    fitted(&words, paper.columns).trim_end().to_owned()
}

/// The week's days; of a weekend only those with work.
fn days(week: &Week) -> impl Iterator<Item = Date> {
    let worked = |day: Date| week.work.iter().any(|work| work.day == day);
    let step: Span = 1.day();
    (0_i64..)
        .zip(week.monday.series(step))
        .take(7)
        .filter(move |(place, day)| *place < 5 || worked(*day))
        .map(|(_, day)| day)
}

/// The most hours first.
fn projects(week: &Week) -> Vec<Project<'_>> {
    let mut projects: Vec<Project<'_>> = Vec::new();
    for Work { project, client, color, hours, .. } in &week.work {
        match projects.iter_mut().find(|known| (known.name, known.client) == (project, client)) {
            Some(known) => known.hours += hours,
            None => projects.push(Project { name: project, client, color, hours: *hours }),
        }
    }
    projects.sort_by(|one, other| other.hours.total_cmp(&one.hours));
    if projects.len() > MOST_PROJECTS {
        let others = projects.split_off(MOST_PROJECTS - 1);
        let hours = others.iter().map(|project| project.hours).sum();
        projects.push(Project { name: "", client: "", color: NO_COLOR, hours });
    }
    projects
}

/// Of the project without a name: of all that have no line of their own.
fn hours_on(week: &Week, day: Date, project: &Project<'_>) -> f64 {
    let known = projects(week);
    let that_day = week.work.iter().filter(|work| work.day == day);
    let is_own = |work: &&Work| {
        let is_named =
            known.iter().any(|known| (known.name, known.client) == (&*work.project, &*work.client));
        if project.name.is_empty() {
            !is_named
        } else {
            (project.name, project.client) == (&*work.project, &*work.client)
        }
    };
    that_day.filter(is_own).map(|work| work.hours).sum()
}

/// Cells of each piece: rounded so that together they are as long as their sum.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few hours, a few cells"
)]
fn cells(hours: &[f64], longest: f64, room: usize) -> Vec<usize> {
    let mut sum = 0.0;
    let mut drawn = 0;
    let piece = |hours: &f64| {
        sum += hours;
        let end = (sum / longest * room as f64).round() as usize;
        let cells = end.min(room) - drawn;
        drawn += cells;
        cells
    };
    hours.iter().map(piece).collect()
}

fn mark(place: u8, paper: Paper) -> char {
    if paper.ink == Ink::None { char::from(b'A' + place) } else { '█' }
}

fn legend(place: u8, project: &Project<'_>, paper: Paper) -> String {
    let mark = mark(place, paper).to_string();
    let room = paper.columns.saturating_sub(2 + 2 + 8).clamp(10, 50);
    let name = match (project.name, project.client) {
        ("", _) => "other projects".to_owned(),
        ("-", _) => "without a project".to_owned(),
        (name, "") => name.to_owned(),
        (name, client) => format!("{name}, {client}"),
    };
    format!(
        "{}  {} {:>7.2}",
        paper.painted(&mark, project.color),
        fitted(&name, room),
        project.hours
    )
}

#[cfg(test)]
mod tests;
