//! `loader verify`: what the newest inventories of Toggl say about the tables.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::output::print_unless_quiet;
use sqlx::{FromRow, PgConnection};

use super::proof::{Finding, Proof, grouped, hours};
use super::store::Looker;
use super::table::aligned;
use super::words::{UNKNOWN, known, time};
use crate::postgres::database::Database;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader verify
  loader verify --json | jq '.differences[].time_entry_id'
  fetcher verify --wait && loader verify

Exit codes: 0 equal to Toggl, 6 something differs or nothing is proven, 5 Postgres is out of
reach.";

/// Entries that are named one by one; the view has all.
const NAMED: i64 = 1_000;
/// Of these, in words.
const SHOWN: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// An entry that is not the same on both sides.
#[derive(Debug, Serialize, FromRow)]
struct Difference {
    workspace_id: i64,
    user_id: Option<i64>,
    time_entry_id: i64,
    state: String,
    group_entry_count: i64,
    group_seconds: Option<i64>,
    group_stored_seconds: Option<i64>,
}

/// Says what the newest inventories say, beside running loaders or without any.
pub(crate) async fn run(database: Database, args: &VerifyArgs) -> Result<Exit, Failure> {
    let mut looker = Looker::new(database);
    let (proof, differences) = looker
        .prove_with(async |connection| {
            let proof = Proof::ask(connection).await?;
            let differences = if proof.as_ref().is_none_or(Proof::is_good) {
                Vec::new()
            } else {
                differences(connection).await?
            };
            Ok((proof, differences))
        })
        .await
        .map_err(|away| {
            let exit = if away.out_of_reach { Exit::Unreachable } else { Exit::Failed };
            Failure { exit, error: anyhow::anyhow!(away.words) }
        })?;
    looker.close().await;
    let text = if args.json {
        json(proof.as_ref(), &differences)
    } else {
        text(proof.as_ref(), &differences)
    };
    print_unless_quiet(text).or_exit(Exit::Failed)?;
    let is_good = proof.as_ref().is_some_and(Proof::is_good);
    Ok(if is_good { Exit::Done } else { Exit::Incomplete })
}

async fn differences(connection: &mut PgConnection) -> sqlx::Result<Vec<Difference>> {
    sqlx::query_as(
        "select workspace_id, user_id, time_entry_id, state, group_entry_count, group_seconds,
                group_stored_seconds
         from staging.stg_toggl_track__verified_entries
         where state in ('missing', 'gone', 'unproven') or starts_with(state, 'other')
         order by workspace_id, state, time_entry_id limit $1",
    )
    .bind(NAMED)
    .fetch_all(connection)
    .await
}

fn json(proof: Option<&Proof>, differences: &[Difference]) -> String {
    let findings = proof.map(|proof| {
        let rows = proof.findings.iter().map(|finding| {
            let mut row = json!(finding);
            if let Some(fields) = row.as_object_mut() {
                fields.insert("asked_at".to_owned(), json!(finding.asked_at()));
            }
            row
        });
        rows.collect::<Vec<_>>()
    });
    let object = json!({
        "is_equal": proof.is_some_and(Proof::is_good),
        "asked_at": proof.and_then(Proof::asked_at),
        "sum": proof.map(Proof::sum),
        "findings": findings.unwrap_or_default(),
        "differences": differences,
    });
    format!("{object}\n")
}

const TITLES: [&str; 9] = [
    "WORKSPACE",
    "FROM",
    "TO",
    "ASKED (UTC)",
    "USER",
    "VERDICT",
    "AT TOGGL",
    "HERE",
    "HOURS AT TOGGL",
];

fn text(proof: Option<&Proof>, differences: &[Difference]) -> String {
    let Some(proof) = proof else {
        return "Nothing was verified yet: `fetcher verify` asks Toggl\n".to_owned();
    };
    let rows: Vec<[String; 9]> = std::iter::once(TITLES.map(str::to_owned))
        .chain(proof.findings.iter().map(cells))
        .collect();
    let mut lines = aligned(&rows);
    lines.push(String::new());
    lines.push(proof.words());
    lines.extend(proof.attention());
    for (shown, difference) in differences.iter().enumerate() {
        if shown == SHOWN {
            lines.push(
                "  … `--json` names more, staging.stg_toggl_track__verified_entries all".to_owned(),
            );
            break;
        }
        lines.push(format!("  {}", named(difference)));
    }
    lines.join("\n") + "\n"
}

fn cells(finding: &Finding) -> [String; 9] {
    let numbers = &finding.numbers;
    [
        finding.workspace_id.to_string(),
        finding.from_date.clone(),
        finding.to_date.clone(),
        time(finding.asked_at()),
        known(finding.user_id, |id| id.to_string()),
        finding.verdict.clone(),
        grouped(numbers.told_entry_count),
        grouped(numbers.stored_entry_count),
        hours(numbers.told_seconds),
    ]
}

fn named(difference: &Difference) -> String {
    let Difference { time_entry_id, state, group_entry_count, .. } = difference;
    let user = known(difference.user_id, |id| format!("user {id}"));
    let seconds = |seconds: Option<i64>| seconds.map_or_else(|| UNKNOWN.to_owned(), grouped);
    let (told, stored) =
        (seconds(difference.group_seconds), seconds(difference.group_stored_seconds));
    let what = match state.as_str() {
        "missing" | "unproven" => "at Toggl and not here".to_owned(),
        "gone" => "here and not at Toggl".to_owned(),
        "other seconds" if *group_entry_count > 1 => {
            format!(
                "one of {group_entry_count} entries that take {told} s at Toggl and {stored} s here"
            )
        }
        "other seconds" => format!("{told} s at Toggl and {stored} s here"),
        "other user" => "of another person at Toggl".to_owned(),
        "other day" => "on another day at Toggl".to_owned(),
        "other amount" => "of another price at Toggl".to_owned(),
        other => other.to_owned(),
    };
    format!("entry {time_entry_id}, {user}: {what}")
}
