//! What a command prints on standard output, at every log level.

use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::kept::KeptLetters;
use shared::output;

use super::verify::Verified;
use crate::check::Found;
use crate::orchestrator::ReportResult;
use crate::outcome::{SyncResult, TeamResult};
use crate::state::Running;
use crate::verdict::Finding;

/// A line of the summary. The work that it tells of is done, whether or not it can be printed.
macro_rules! line {
    ($($words:tt)*) => { output::report(format!($($words)*) + "\n") };
}

/// What was read so recently was read by this run.
const AT_ONCE: Duration = Duration::from_mins(2);

pub(super) fn sync(result: &SyncResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(result)?;
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
    line!("  Masters: {{{}}}", masters(result));
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

pub(super) fn changes(result: &SyncResult, account: Option<&str>) -> Result<Exit, Failure> {
    let exit = exit_of(result)?;
    line!("[{}] Toggl Track changes completed{}:", mark(exit), of(account));
    line!("  Time entries: {}", result.time_entries_count);
    if !result.masters_counts.is_empty() {
        line!("  Masters: {{{}}}", masters(result));
    }
    rest(result);
    line!("  Elapsed: {:.2}s", result.elapsed.as_secs_f64());
    for note in &result.notes {
        line!("  Note: {note}");
    }
    Ok(exit)
}

fn masters(result: &SyncResult) -> String {
    let counts = result.masters_counts.iter();
    counts.map(|(name, count)| format!("\"{name}\":{count}")).collect::<Vec<_>>().join(",")
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

pub(super) fn verify(verified: &Verified, account: Option<&str>) -> Result<Exit, Failure> {
    let Verified { counted, repairs, findings, repaired } = verified;
    let mut exit = exit_of(&counted.rest)?;
    let is_bad = findings.iter().flatten().any(|finding| !finding.is_good());
    if is_bad || !repairs.is_complete() {
        exit = Exit::Incomplete;
    }
    line!("[{}] Toggl Track verification completed{}:", mark(exit), of(account));
    for (workspace_id, taken) in &counted.inventories {
        let (days, entries) = (taken.days, taken.entries);
        let hours = hours(taken.seconds);
        line!("  Workspace {workspace_id}, {days}: {entries} entries, {hours} hours at Toggl");
    }
    if *repaired > 0 {
        line!("  Read once more: {repaired} entries");
    }
    for finding in findings.iter().flatten() {
        line!("  {}", found(finding));
    }
    if *repaired > 0 && findings.iter().flatten().any(|finding| finding.verdict == "different") {
        line!(
            "  What differs still was changed at Toggl meanwhile (the same command again settles it), or here, by hand \
             (`loader replay --force` mends it)"
        );
    }
    if findings.is_none() {
        line!("  Whether the tables have them: `loader verify` tells, once they are stored");
    }
    rest(&counted.rest);
    rest(repairs);
    line!("  Elapsed: {:.2}s", counted.elapsed.as_secs_f64());
    Ok(exit)
}

fn found(finding: &Finding) -> String {
    let Finding { workspace_id, from_date, to_date, verdict, .. } = finding;
    let what = format!("Workspace {workspace_id}, {from_date} to {to_date}");
    if let Some(fault) = &finding.fault {
        return format!("{what}: no proof ({fault})");
    }
    let counts = [
        (finding.missing, "missing here"),
        (finding.gone, "gone at Toggl"),
        (finding.differing, "different"),
        (finding.left_out, "changed since, left out"),
        (finding.unproven, "not here, of days of which only a part was read"),
        (finding.not_kept, "of people whose entries are not read"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, words)| format!("{count} {words}")).collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let verdict = if verdict == "equal" { "equal to Toggl" } else { verdict };
    format!("{what}: {verdict}{counts}")
}

/// Seconds in hours, with one decimal.
fn hours(seconds: i64) -> String {
    let tenths = (seconds + 180) / 360;
    format!("{}.{}", tenths / 10, (tenths % 10).abs())
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
