//! `loader dead-letters list`.

use clap::Args;
use jiff_sqlx::Timestamp;
use serde_json::json;
use shared::exit::Exit;
use shared::output::print;
use shared::telemetry::RAW_CLIENT;
use sqlx::types::Uuid;
use sqlx::{FromRow, PgConnection};
use tracing::warn;

use super::error::LettersError;
use super::filter::{Filter, selected};
use super::text::{escaped, shortened, time};

pub(super) const EXAMPLES: &str = "\
Examples:
  loader dead-letters list
  loader dead-letters list --resource tags,projects --reason 'mass delete'
  loader dead-letters list --json --limit 100000 | jq .reason";

/// Longer reasons are cut; `show` has them whole.
const REASON: usize = 120;
/// From so many letters on, they are counted by resource and reason.
const MANY: i64 = 10;
/// So many of these counts are shown.
const COUNTS: usize = 5;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: Filter,
    /// The most that are listed.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// One JSON object a line, with all there is except the bytes.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, FromRow)]
struct Listed {
    dead_letter_id: i64,
    kind: String,
    resource: String,
    workspace_id: Option<i64>,
    source_id: Option<i64>,
    record_index: Option<i32>,
    reason: String,
    sqlstate: Option<String>,
    subject: String,
    stream_sequence: i64,
    run_id: Option<Uuid>,
    fetched_at: Option<Timestamp>,
    published_at: Timestamp,
    created_at: Timestamp,
    payload_bytes: i32,
}

/// How many letters of a resource have a reason.
#[derive(Debug, FromRow)]
struct Count {
    resource: String,
    reason: String,
    letters: i64,
}

pub(super) async fn list(
    connection: &mut PgConnection,
    args: &ListArgs,
) -> Result<Exit, LettersError> {
    let sql = selected!(
        "select dead_letter_id, kind, resource, workspace_id, source_id, record_index, reason,
                sqlstate, subject, stream_sequence, run_id, fetched_at, published_at, created_at,
                octet_length(payload) as payload_bytes",
        "order by created_at desc, dead_letter_id desc limit $4"
    );
    let letters: Vec<Listed> =
        args.filter.query(sql).bind(i64::from(args.limit)).fetch_all(&mut *connection).await?;
    let sql = selected!(
        "select resource, reason, count(*) as letters",
        "group by resource, reason order by letters desc, resource, reason"
    );
    let counts: Vec<Count> = args.filter.query(sql).fetch_all(connection).await?;
    let total: i64 = counts.iter().map(|count| count.letters).sum();
    let more = total.saturating_sub(i64::try_from(letters.len()).unwrap_or(i64::MAX));

    if args.json {
        print(letters.iter().map(json_line).collect::<String>())?;
        if more > 0 {
            warn!(target: RAW_CLIENT, "{more} more dead letters are not listed; raise --limit");
        }
        return Ok(Exit::Done);
    }
    if letters.is_empty() {
        print("No dead letters\n")?;
        return Ok(Exit::Done);
    }
    let mut lines = table(&letters);
    if total >= MANY {
        lines.push(summary(total, &counts));
    }
    if more > 0 {
        lines.push(format!("{more} more are not listed; raise --limit to see them"));
    }
    print(lines.join("\n") + "\n")?;
    Ok(Exit::Done)
}

fn json_line(letter: &Listed) -> String {
    let object = json!({
        "dead_letter_id": letter.dead_letter_id,
        "kind": letter.kind,
        "resource": letter.resource,
        "workspace_id": letter.workspace_id,
        "source_id": letter.source_id,
        "record_index": letter.record_index,
        "reason": letter.reason,
        "sqlstate": letter.sqlstate,
        "subject": letter.subject,
        "stream_sequence": letter.stream_sequence,
        "run_id": letter.run_id.map(|id| id.to_string()),
        "fetched_at": letter.fetched_at.map(Timestamp::to_jiff),
        "published_at": letter.published_at.to_jiff(),
        "created_at": letter.created_at.to_jiff(),
        "payload_bytes": letter.payload_bytes,
    });
    format!("{object}\n")
}

/// Numbers to the right, words to the left.
fn table(letters: &[Listed]) -> Vec<String> {
    let titles = ["ID", "RESOURCE", "SOURCE ID", "CREATED (UTC)", "REASON"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(titles).chain(letters.iter().map(cells)).collect();
    let widest = |cell: fn(&[String; 5]) -> &String| {
        rows.iter().map(|row| cell(row).len()).max().unwrap_or_default()
    };
    let [ids, resources, source_ids, times] = [
        widest(|row| &row[0]),
        widest(|row| &row[1]),
        widest(|row| &row[2]),
        widest(|row| &row[3]),
    ];
    rows.iter()
        .map(|[id, resource, source_id, created, reason]| {
            format!(
                "{id:>ids$}  {resource:resources$}  {source_id:>source_ids$}  {created:times$}  {reason}"
            )
        })
        .collect()
}

fn cells(letter: &Listed) -> [String; 5] {
    [
        letter.dead_letter_id.to_string(),
        escaped(&letter.resource),
        letter.source_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        time(letter.created_at),
        shortened(&letter.reason, REASON),
    ]
}

/// `62 dead letters: 50 tags (…), 12 groups (…)`.
fn summary(total: i64, counts: &[Count]) -> String {
    let mut groups: Vec<_> = counts
        .iter()
        .take(COUNTS)
        .map(|Count { resource, reason, letters }| {
            format!("{letters} {} ({})", escaped(resource), shortened(reason, REASON))
        })
        .collect();
    let others: i64 = counts.iter().skip(COUNTS).map(|count| count.letters).sum();
    if others > 0 {
        groups.push(format!("{others} others"));
    }
    format!("{total} dead letters: {}", groups.join(", "))
}
