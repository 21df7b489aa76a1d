//! What a command prints on standard output, at every log level.
#![expect(clippy::print_stdout, reason = "this is the output of the program")]

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::kept::KeptLetters;

use crate::check::Found;
use crate::state::Running;
use crate::{ReportResult, SyncResult, TeamResult};

/// What was read so recently was read by this run.
const AT_ONCE: Duration = Duration::from_mins(2);

pub(super) fn sync(result: &SyncResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(result)?;
    let masters: Vec<_> =
        result.masters_counts.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    println!("[{}] Toggl Track sync completed{}:", mark(exit), of(account));
    println!("  Time entries: {}", result.time_entries_count);
    if let Some(count) = result.report_count {
        println!("  Older time entries, from reports: {count}");
    }
    for team in &result.team {
        let TeamResult { workspace_id, days, records, read_at } = team;
        let age = age(*read_at);
        let ago = if age < AT_ONCE { String::new() } else { format!(", {}", ago(age)) };
        println!(
            "  Everybody's entries of {days} days in workspace {workspace_id}: {records}{ago}"
        );
    }
    println!("  Masters: {{{}}}", masters.join(","));
    if !result.earlier.is_empty() {
        let read = |(name, at): &(&str, Timestamp)| format!("{name} ({})", ago(age(*at)));
        let read: Vec<_> = result.earlier.iter().map(read).collect();
        println!("  Read by the run that was interrupted: {}", read.join(", "));
    }
    rest(result);
    println!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    for note in &result.notes {
        println!("  Note: {note}");
    }
    Ok(exit)
}

pub(super) fn report(result: &ReportResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(&result.rest)?;
    println!("[{}] Toggl Track report completed{}:", mark(exit), of(account));
    for (workspace_id, count) in &result.entries {
        println!("  Time entries of workspace {workspace_id}: {count}");
    }
    rest(&result.rest);
    println!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    Ok(exit)
}

/// What loaders kept, apart from what could not be sent to them as a record.
pub(super) fn kept(kept: &[KeptLetters]) {
    for KeptLetters { resource, letters, reason } in kept {
        println!("Dead letters: {letters} of {resource} ({reason})");
    }
}

pub(super) fn skipped(running: &Running) {
    println!("[SKIPPED] {running}");
}

pub(super) fn check(found: &Found, account: Option<&str>) {
    println!("Toggl account{}: {}", of(account), found.owner);
    println!("Workspaces:");
    for workspace in &found.workspaces {
        println!("  {workspace}");
    }
    println!("Requests left:");
    for quota in &found.quotas {
        println!("  {quota}");
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
        println!("  Skipped: {name} ({reason})");
    }
    for (name, reason) in &result.uncertain {
        println!("  Uncertain: {name} ({reason})");
    }
    if !result.rejected.is_empty() {
        println!("  Dead letters: {} (named in the log)", result.rejected.len());
    }
    if !result.unsent.is_empty() {
        println!("  Records not sent: {} (named in the log)", result.unsent.len());
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
