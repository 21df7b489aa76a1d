//! Fetching: the peers read the report that the fetcher reads, from the same simulated Toggl, into
//! files or a pipe.
//!
//! tap-toggl as released reads time entries from Reports v2, whose address is written into its code;
//! its wrapper gives it Reports v3 instead (`tap_toggl_report.py`).

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::Value;

use super::pins::{DLT, TAP};
use super::program::Program;
use crate::bench::fetch::{DAYS, account};
use crate::bench::figures::Figure;
use crate::toggl::Simulator;

/// Who fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Fetcher {
    Dlt,
    Tap,
}

impl Fetcher {
    pub(in crate::bench) const ALL: [Self; 2] = [Self::Dlt, Self::Tap];

    pub(in crate::bench) const fn phase(self) -> &'static str {
        match self {
            Self::Dlt => "peer: fetch, dlt REST",
            Self::Tap => "peer: fetch, tap-toggl",
        }
    }

    fn program(self, toggl: &Simulator) -> Result<Program> {
        let (token, workspace_id) =
            toggl.with_account(|account| (account.token().to_owned(), account.workspace_id()));
        let mut program = match self {
            Self::Dlt => Program::new(&DLT, include_str!("dlt_fetch.py"))?
                // Faster so, and to be read below.
                .env("DATA_WRITER__DISABLE_COMPRESSION", "true")
                .argument(toggl.url().as_str())
                .argument(workspace_id.to_string()),
            Self::Tap => Program::new(&TAP, include_str!("tap_toggl_report.py"))?
                .argument(toggl.url().as_str()),
        };
        for (first, last) in years()? {
            program = program.argument(format!("{first}/{last}"));
        }
        Ok(program.env("TOGGL_API_TOKEN", token))
    }
}

/// One peer, once. That it fails or loses rows is in its figure, and ends nothing.
pub(in crate::bench) async fn fetch(fetcher: Fetcher, rows: u32, say: fn(&str)) -> Result<Figure> {
    let toggl = Simulator::start(account(rows)?).await;
    let ended = fetcher.program(&toggl)?.run().await?;
    if let Some(failure) = &ended.failure {
        say(&format!("{} failed: {failure}", fetcher.phase()));
    }
    let mut ids = HashSet::new();
    for file in files(ended.folder())? {
        for line in BufReader::new(File::open(file)?).lines() {
            collect(&serde_json::from_str(&line?).unwrap_or_default(), &mut ids);
        }
    }
    Ok(Figure {
        phase: fetcher.phase().to_owned(),
        rows,
        stored: Some(u32::try_from(ids.len())?),
        seconds: ended.seconds,
        cpu: [("peer".to_owned(), ended.cpu * 1e6 / f64::from(rows))].into(),
        peak_mib: Some(ended.peak_mib),
        ..Figure::default()
    })
}

/// The days of the report, no more than a year at a time: more Toggl refuses.
fn years() -> Result<Vec<(Date, Date)>> {
    let today = jiff::Zoned::now().date();
    let mut first = today.checked_sub(i64::from(DAYS + 1).days())?;
    let mut years = Vec::new();
    while first <= today {
        let last = first.checked_add(364.days())?;
        years.push((first, last));
        first = last.tomorrow()?;
    }
    Ok(years)
}

/// The tap's output, and the files in which dlt keeps what it has extracted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if name == "output" || name.starts_with("time_entries") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The ids of time entries: in a Singer record, or within the rows of a report.
fn collect(line: &Value, ids: &mut HashSet<i64>) {
    ids.extend(line.pointer("/record/id").and_then(Value::as_i64));
    let rows = line.as_array().into_iter().flatten();
    let entries = rows.filter_map(|row| row.get("time_entries")?.as_array()).flatten();
    ids.extend(entries.filter_map(|entry| entry.get("id")?.as_i64()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_leave_no_day_out() {
        let years = years().unwrap();
        assert!(years.len() >= 3);
        assert!(years.windows(2).all(|pair| pair[0].1.tomorrow().unwrap() == pair[1].0));
        assert!(years.last().unwrap().1 >= jiff::Zoned::now().date());
    }

    #[test]
    fn an_entry_that_comes_twice_counts_once() {
        let mut ids = HashSet::new();
        for line in [
            serde_json::json!({"type": "RECORD", "record": {"id": 1}}),
            serde_json::json!({"type": "RECORD", "record": {"id": 1}}),
            serde_json::json!([{"time_entries": [{"id": 1}, {"id": 2}]}]),
            serde_json::json!({"type": "STATE"}),
        ] {
            collect(&line, &mut ids);
        }
        assert_eq!(ids.len(), 2);
    }
}
