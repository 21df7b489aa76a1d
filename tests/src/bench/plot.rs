//! How fast each phase is, and how that changes with the number of rows.

use std::path::Path;

use anyhow::{Context as _, Result};
use plotters::prelude::*;

use super::figures::Figure;

const SIZE: (u32, u32) = (860, 420);
/// Where the names of the phases begin.
const NAMES_AT: u32 = 640;
const LINE_HEIGHT: usize = 20;

/// Draws rows a second over rows, a line for each phase.
pub(super) fn draw(figures: &[Figure], path: &Path) -> Result<()> {
    // Where nothing was stored there is nothing to draw.
    let figures: Vec<_> = figures.iter().filter(|f| f.rows_per_second() > 0.0).collect();
    let most_rows = figures.iter().map(|figure| figure.rows).max().context("nothing measured")?;
    let least_rows = figures.iter().map(|figure| figure.rows).min().unwrap_or(most_rows);
    let fastest = figures.iter().map(|f| f.rows_per_second()).fold(0.0, f64::max);
    let slowest = figures.iter().map(|f| f.rows_per_second()).fold(fastest, f64::min);
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(NAMES_AT);
    let mut chart = ChartBuilder::on(&left)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (f64::from(least_rows) * 0.8..f64::from(most_rows) * 1.25).log_scale(),
            // What others load with is slower by an order.
            (slowest * 0.8..fastest * 1.25).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("rows")
        .y_desc("rows a second")
        .x_label_formatter(&|rows| in_thousands(*rows))
        .y_label_formatter(&|pace| in_thousands(*pace))
        .draw()?;
    let mut phases: Vec<&str> = Vec::new();
    for figure in &figures {
        if !phases.contains(&figure.phase.as_str()) {
            phases.push(&figure.phase);
        }
    }
    let font = ("sans-serif", 13).into_font();
    for (place, phase) in phases.iter().enumerate() {
        let style = color(place).stroke_width(2);
        let points: Vec<_> = figures
            .iter()
            .filter(|figure| figure.phase == *phase)
            .map(|figure| (f64::from(figure.rows), figure.rows_per_second()))
            .collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?;
        let y = i32::try_from((place + 1) * LINE_HEIGHT)?;
        right.draw(&PathElement::new([(0, y + 7), (18, y + 7)], style))?;
        right.draw(&Text::new(*phase, (26, y), font.clone()))?;
    }
    area.present()?;
    Ok(())
}

/// Neighbours far apart on the circle of colours, all dark enough on white.
fn color(place: usize) -> HSLColor {
    let place = f64::from(u32::try_from(place).unwrap_or_default());
    HSLColor((place * 0.382).fract(), 0.85, 0.38)
}

fn in_thousands(number: f64) -> String {
    format!("{}k", number / 1e3)
}
