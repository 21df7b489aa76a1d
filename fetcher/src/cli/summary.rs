//! What a command prints on standard output, at every log level.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::kept::KeptLetters;
use shared::output;

use crate::check::Found;
use crate::orchestrator::ReportResult;
use crate::outcome::{SyncResult, TeamResult};
use crate::state::Running;

/// A line of the summary. The work that it tells of is done, whether or not it can be printed.
macro_rules! line {
    ($($words:tt)*) => { output::report(format!($($words)*) + "\n") };
}

/// What was read so recently was read by this run.
const AT_ONCE: Duration = Duration::from_mins(2);

pub(super) fn sync(result: &SyncResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(result)?;
    let masters: Vec<_> =
        result.masters_counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    line!("[{}] Toggl Track sync completed{}:", mark(exit), of(account));
    line!("  Time entries: {}", result.time_entries_count);
    if let Some(count) = result.report_count {
        line!("  Older time entries, from reports: {count}");
    }
    for team in &result.team {
        let TeamResult { workspace_id, days, records, read_at } = team;
        let age = age(*read_at);
        let ago = if age < AT_ONCE { String::new() } else { format!(", {}", ago(age)) };
        line!("  Everybody's entries of {days} days in workspace {workspace_id}: {records}{ago}");
    }
    line!("  Masters: {{{}}}", masters.join(","));
    if !result.earlier.is_empty() {
        let read = |(name, at): &(&str, Timestamp)| format!("{name} ({})", ago(age(*at)));
        let read: Vec<_> = result.earlier.iter().map(read).collect();
        line!("  Read by the run that was interrupted: {}", read.join(", "));
    }
    rest(result);
    line!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    for note in &result.notes {
        line!("  Note: {note}");
    }
    Ok(exit)
}

pub(super) fn report(result: &ReportResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(&result.rest)?;
    line!("[{}] Toggl Track report completed{}:", mark(exit), of(account));
    for (workspace_id, count) in &result.entries {
        line!("  Time entries of workspace {workspace_id}: {count}");
    }
    rest(&result.rest);
    line!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    Ok(exit)
}

/// What loaders kept, apart from what could not be sent to them as a record.
pub(super) fn kept(kept: &[KeptLetters]) {
    for KeptLetters { resource, letters, reason } in kept {
        line!("Dead letters: {letters} of {resource} ({reason})");
    }
}

pub(super) fn skipped(running: &Running) {
    line!("[SKIPPED] {running}");
}

pub(super) fn check(found: &Found, account: Option<&str>) {
    line!("Toggl account{}: {}", of(account), found.owner);
    line!("Workspaces:");
    for workspace in &found.workspaces {
        line!("  {workspace}");
    }
    line!("Requests left:");
    for quota in &found.quotas {
        line!("  {quota}");
    }
}

/// A failed resource fails the command; one that was skipped leaves it incomplete.
fn exit_of(result: &SyncResult) -> Result<Exit, Failure> {
    if result.failed.is_empty() {
        return Ok(if result.is_complete() { Exit::Done } else { Exit::Incomplete });
    }
    let failed: Vec<_> =
        result.failed.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
    Err(anyhow!("could not read {}; the rest was sent", failed.join(", "))).or_exit(Exit::Failed)
}

fn rest(result: &SyncResult) {
    for (name, reason) in &result.skipped {
        line!("  Skipped: {name} ({reason})");
    }
    for (name, reason) in &result.uncertain {
        line!("  Uncertain: {name} ({reason})");
    }
    if !result.rejected.is_empty() {
        line!("  Dead letters: {} (named in the log)", result.rejected.len());
    }
    if !result.unsent.is_empty() {
        line!("  Records not sent: {} (named in the log)", result.unsent.len());
    }
}

fn age(at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(at)).unwrap_or_default()
}

/// How long ago, to the minute.
fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    let rounded = if seconds < 60 { seconds } else { seconds / 60 * 60 };
    format!("{} ago", humantime::format_duration(Duration::from_secs(rounded)))
}

fn mark(exit: Exit) -> &'static str {
    if exit == Exit::Done { "OK" } else { "INCOMPLETE" }
}

fn of(account: Option<&str>) -> String {
    account.map_or_else(String::new, |account| format!(" ({account})"))
}
