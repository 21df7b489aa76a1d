//! `loader status`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::consumer::Readers;
use shared::exit::{Exit, Failure, OrExit as _, chain};
use shared::nats::{Program, Server};
use shared::output::print_unless_quiet;

use super::pipeline::Pipeline;
use super::proof::Proof;
use super::queue::{self, Queue};
use super::store::{Counts, Looker, Store};
use super::table::aligned;
use super::whose::{self, Whose};
use super::words::{bytes, known, time};
use super::{Away, Line, Status, Verdict, promises};
use crate::postgres::database::Database;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader status
  loader status --json | jq '.resources[] | select(.pending > 0)'
  loader status >/dev/null || echo 'the pipeline needs attention'
  loader status --max-age 2h

Exit codes: 0 healthy, 6 something needs attention, 5 NATS or Postgres is out of reach.";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Looks once and says what it sees, beside running loaders or without any.
pub(crate) async fn run(
    server: Server<'_>,
    database: Database,
    readers: &Readers,
    args: &StatusArgs,
    max_age: Duration,
) -> Result<Exit, Failure> {
    let pipeline = Pipeline::new(database.name(), server.names());
    let (nats, (store, counts, proof)) =
        tokio::join!(ask_nats(&server, &database, readers), ask_postgres(database.clone()));
    let (queue, whose) = nats;
    let (counts, uncounted) = match counts {
        Some(Ok(counts)) => (Some(Arc::new(counts)), None),
        Some(Err(away)) => (None, Some(away)),
        None => (None, None),
    };
    let (proof, unproven) = match proof {
        Ok(proof) => (proof.map(Arc::new), None),
        Err(away) => (None, Some(away)),
    };
    let at = Timestamp::now();
    let status =
        Status { pipeline, max_age, at, queue, store, counts, uncounted, proof, unproven, whose };
    let text = if args.json { json(&status) } else { text(&status) };
    print_unless_quiet(text).or_exit(Exit::Failed)?;
    Ok(match status.verdict() {
        Verdict::Healthy => Exit::Done,
        Verdict::NeedsAttention => Exit::Incomplete,
        Verdict::OutOfReach => Exit::Unreachable,
    })
}

async fn ask_nats(
    server: &Server<'_>,
    database: &Database,
    readers: &Readers,
) -> (Result<Queue, Away>, Whose) {
    match server.connect(Program::Loader).await {
        Ok(client) => {
            let context = server.jetstream(client);
            let queue = queue::look(&context, readers).await;
            let is_there = queue.as_ref().is_ok_and(|queue| queue.stream.is_some());
            let whose = if is_there {
                whose::look(&context, database, readers).await
            } else {
                Whose::default()
            };
            (queue, whose)
        }
        Err(error) => (Err(Away { words: chain(&error), out_of_reach: true }), Whose::default()),
    }
}

/// What Postgres says: of itself, of its rows, and of what Toggl's inventories prove.
type Told = (Result<Store, Away>, Option<Result<Counts, Away>>, Result<Option<Proof>, Away>);

/// Rows are counted only where the rest was told.
async fn ask_postgres(database: Database) -> Told {
    let mut looker = Looker::new(database);
    let store = looker.look().await;
    let counts = match &store {
        Ok(store) => Some(looker.count(&store.missing).await),
        Err(_) => None,
    };
    let proof = match &store {
        Ok(store) if store.is_verified() => looker.prove().await,
        _ => Ok(None),
    };
    (store, counts, proof)
}

fn json(status: &Status) -> String {
    let lines: Vec<Line> = status.lines().collect();
    let stream = status.queue.as_ref().ok().and_then(|queue| queue.stream);
    let object = json!({
        "verdict": status.verdict().words(),
        "attention": status.attention(),
        "at": status.at,
        "pipeline": status.pipeline,
        "nats_reachable": !status.queue.as_ref().is_err_and(|away| away.out_of_reach),
        "postgres_reachable": !status.store.as_ref().is_err_and(|away| away.out_of_reach),
        "loader_at_work": status.queue.as_ref().map(Queue::is_served).ok(),
        "stream": stream.map_or(Value::Null, |stream| json!({
            "messages": stream.messages,
            "bytes": stream.bytes,
            "max_bytes": stream.max_bytes,
            "last_published_at": stream.last_published_at,
        })),
        "foreign": status.whose.foreign,
        "copies": status.whose.copies,
        "people": status.people(),
        "each_person": status.counts.as_ref().map(|counts| &counts.people),
        "proof": status.proof.as_ref().map(|proof| json!({
            "is_equal": proof.is_good(),
            "asked_at": proof.asked_at(),
            "sum": proof.sum(),
        })),
        "resources": lines,
    });
    format!("{object}\n")
}

const TITLES: [&str; 9] = [
    "RESOURCE",
    "LIVE",
    "DELETED",
    "COMPLETE (UTC)",
    "LAST CHANGE (UTC)",
    "PENDING",
    "IN FLIGHT",
    "DEAD",
    "OLDEST UNLOADED (UTC)",
];

fn text(status: &Status) -> String {
    let rows =
        std::iter::once(TITLES.map(str::to_owned)).chain(status.lines().map(|line| cells(&line)));
    let mut lines = aligned(&rows.collect::<Vec<_>>());
    lines.push(String::new());
    lines.extend(summary(status));
    lines.push(String::new());
    let attention = status.attention();
    if attention.is_empty() {
        lines.push("Healthy".to_owned());
    } else {
        lines.push("Needs attention:".to_owned());
        lines.extend(attention.iter().map(|words| format!("  - {words}")));
    }
    lines.join("\n") + "\n"
}

/// What is not a table's own.
pub(crate) fn summary(status: &Status) -> Vec<String> {
    let mut lines = vec![status.pipeline.words()];
    lines.extend(flow(status));
    lines.extend(status.whose.lines());
    lines.extend(status.people().map(|people| people.words()));
    lines.extend(promises::words(status));
    lines.extend(status.proof.as_ref().map(|proof| proof.words()));
    lines
}

fn flow(status: &Status) -> Vec<String> {
    let Ok(queue) = &status.queue else {
        return vec!["Stream: not known".to_owned()];
    };
    let stream = known(queue.stream, |stream| {
        let limit = stream.max_bytes.map_or_else(|| "no limit".to_owned(), bytes);
        format!(
            "{} batches, {} of {limit}, last published {}",
            stream.messages,
            bytes(stream.bytes),
            known(stream.last_published_at, time)
        )
    });
    let loaders = if queue.is_served() { "at work" } else { "none at work" };
    vec![format!("Stream: {stream}"), format!("Loaders: {loaders}")]
}

fn cells(line: &Line) -> [String; 9] {
    let number = |number: Option<i64>| known(number, |number| number.to_string());
    let count = |count: Option<u64>| known(count, |count| count.to_string());
    [
        line.resource.to_owned(),
        number(line.rows_live),
        number(line.rows_deleted),
        line.complete(),
        known(line.last_changed_at, time),
        count(line.pending),
        count(line.in_flight),
        number(line.dead_letters),
        known(line.oldest_unloaded_at, time),
    ]
}
