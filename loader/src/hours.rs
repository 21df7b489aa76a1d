//! `loader hours`: a report of hours for people, from the views of staging: as a page, a table, CSV or JSON.

mod ask;
mod by;
mod csv;
mod error;
mod html;
mod json;
mod numbers;
mod report;
mod span;
mod text;
mod trust;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::destination::Destination;
use shared::exit::{Exit, Failure};
use shared::output::print_unless_quiet;

use self::by::Dimension;
use self::error::HoursError;
use self::report::Report;
use crate::postgres::database::Database;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader hours                                          this month by project and person, as a table
  loader hours --by client,project -o hours.html        a page to send around or to print
  loader hours --from 2026-01-01 --to 2026-03-31 --by client,month -o quarter.csv
  loader hours --user 'Nora Lindqvist' --by day --format json | jq .total.hours

Exit codes: 0 done, 1 no tables, no right, or a file that cannot be written, 2 usage, 5 Postgres is
out of reach.";

/// More of them say no more.
const MOST_DIMENSIONS: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct HoursArgs {
    /// First day. [default: the first of the month of --to]
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last day, inclusive. [default: today]
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// What stands together, the outermost first: up to four. An entry with several tags counts for each of them,
    /// and once in all sums.
    #[arg(long, value_name = "WHAT,..", value_delimiter = ',', default_value = "project,user")]
    by: Vec<Dimension>,
    /// Only of this person, by name or id; several are given by repeating it.
    #[arg(long, value_name = "NAME")]
    user: Vec<String>,
    /// Only on this project, by name or id.
    #[arg(long, value_name = "NAME")]
    project: Vec<String>,
    /// Only for this client, by name or id.
    #[arg(long, value_name = "NAME")]
    client: Vec<String>,
    /// Only in this workspace, by name or id.
    #[arg(long, value_name = "NAME")]
    workspace: Vec<String>,
    /// Where days begin at midnight, such as Europe/Berlin. [default: each person's own zone; Postgres' setting
    /// `toggl_track.time_zone`, if there is one]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    time_zone: Option<String>,
    /// Where to: a file, replaced only once all of it is written; `-` is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// What to write. [default: by the file's ending; on standard output, text]
    ///
    /// In CSV a text that a spreadsheet would take for a formula (it begins with =, +, - or @) gets an apostrophe
    /// before it.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One page with plots, which needs nothing else.
    Html,
    /// A row for each group, for spreadsheets.
    Csv,
    /// One object with all of it.
    Json,
    /// A table for the terminal.
    Text,
}

impl Format {
    fn of(args: &HoursArgs) -> Result<Self, HoursError> {
        if let Some(format) = args.format {
            return Ok(format);
        }
        if args.destination() == Destination::Stdout {
            return Ok(Self::Text);
        }
        let ending = args.output.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "html" | "htm" => Ok(Self::Html),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "txt" => Ok(Self::Text),
            _ => Err(HoursError::Ending(args.output.clone())),
        }
    }

    fn written(self, report: &Report) -> String {
        match self {
            Self::Html => html::html(report),
            Self::Csv => csv::csv(report),
            Self::Json => json::json(report),
            Self::Text => text::text(report),
        }
    }
}

impl HoursArgs {
    fn destination(&self) -> Destination {
        self.output.clone().into()
    }
}

/// A zone as the IANA database spells it: Postgres would take others for something else.
fn zone(name: &str) -> Result<String, String> {
    let zone = TimeZone::get(name)
        .map_err(|_| "no such time zone; name one such as Europe/Berlin".to_owned())?;
    Ok(zone.iana_name().unwrap_or(name).to_owned())
}

/// Reads the views, and writes the report.
pub(crate) async fn run(database: Database, args: &HoursArgs) -> Result<Exit, Failure> {
    let written = report(&database, args).await;
    written.map_err(|error| Failure { exit: error.exit(), error: error.into() })?;
    Ok(Exit::Done)
}

async fn report(database: &Database, args: &HoursArgs) -> Result<(), HoursError> {
    check(args)?;
    let format = Format::of(args)?;
    let mut connection = database.connect_awake().await?;
    let report = ask::ask(&mut connection, args).await?;
    drop(sqlx::Connection::close(connection).await);
    let text = format.written(&report);
    let destination = args.destination();
    destination.write(text.as_bytes())?;
    if destination == Destination::Stdout {
        return Ok(());
    }
    Ok(print_unless_quiet(format!("{}: {}\n", args.output.display(), report.words()))?)
}

fn check(args: &HoursArgs) -> Result<(), HoursError> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(HoursError::Order { from, to });
    }
    if args.by.len() > MOST_DIMENSIONS {
        return Err(HoursError::TooMany(MOST_DIMENSIONS));
    }
    for (place, dimension) in args.by.iter().enumerate() {
        if args.by.iter().take(place).any(|before| before == dimension) {
            return Err(HoursError::Twice(dimension.name()));
        }
    }
    Ok(())
}
