//! A batch out of the stream in readable form.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::batch::{Batch, Record};
use shared::exit::{Exit, chain};
use shared::nats::Server;
use shared::output::print;

use super::error::ExplainError;
use super::message::{Message, Messages};
use super::words::time;
use crate::dead_letters::claimed;
use crate::dead_letters::text::{escaped, hex, indented};

/// So many bytes of what is no batch are shown.
const HEX: usize = 64;

/// Reads the message, and prints it.
pub(super) async fn show(
    server: &Server<'_>,
    sequence: u64,
    limit: usize,
    as_json: bool,
) -> Result<Exit, anyhow::Error> {
    let messages = Messages::open(server).await?;
    let Some(message) = messages.read(sequence).await? else {
        let (first, last) = messages.ends();
        return Err(match sequence {
            _ if sequence < first => ExplainError::Left { sequence, first },
            _ if sequence > last => ExplainError::Ahead { sequence, last },
            _ => ExplainError::Deleted(sequence),
        }
        .into());
    };
    match message.decode() {
        Ok(batch) if as_json => said(json_lines(&message, &batch))?,
        Ok(batch) => said(text(&message, &batch, limit))?,
        Err(error) => {
            said(unreadable(&message, &chain(&error), as_json))?;
            return Ok(Exit::Incomplete);
        }
    }
    Ok(Exit::Done)
}

fn said(text: String) -> Result<(), ExplainError> {
    Ok(print(text)?)
}

/// What is known of any message.
fn head(message: &Message) -> Vec<(&'static str, String)> {
    let Message { subject, published_at, headers, payload, .. } = message;
    let mut lines = vec![("subject", escaped(subject))];
    lines.extend(published_at.map(|at| ("published", format!("{} UTC", time(at)))));
    lines.push(("size", format!("{} bytes", payload.len())));
    for (name, values) in headers.iter() {
        // What the server adds to its answer says nothing new.
        if matches!(
            name.as_ref(),
            "Nats-Stream" | "Nats-Subject" | "Nats-Sequence" | "Nats-Time-Stamp"
        ) {
            continue;
        }
        let values: Vec<_> = values.iter().map(|value| escaped(value.as_str())).collect();
        lines.push(("header", format!("{}: {}", escaped(name.as_ref()), values.join(", "))));
    }
    lines
}

fn listed(message: &Message, lines: Vec<(&'static str, String)>) -> String {
    let mut text = format!("Message {}\n", message.sequence);
    for (name, value) in lines {
        text.extend([format!("  {name:<10} {value}\n")]);
    }
    text
}

fn text(message: &Message, batch: &Batch, limit: usize) -> String {
    let mut lines = head(message);
    lines.extend([
        ("resource", batch.resource.clone()),
        ("workspace", batch.workspace_id.to_string()),
        ("run", format!("{}, part {}", batch.run_id, batch.part)),
        (
            "fetched",
            format!("{} UTC, by API {}", time(batch.fetched_at), escaped(&batch.api_version)),
        ),
        ("claims", claimed(&batch.coverage)),
        ("records", batch.records.len().to_string()),
    ]);
    let mut text = listed(message, lines);
    for record in batch.records.iter().take(limit) {
        text.push_str(&record_text(record));
    }
    let more = batch.records.len().saturating_sub(limit);
    if more > 0 {
        text.extend([format!("  … and {more} more; --limit or --json shows them\n")]);
    }
    for rejected in &batch.rejected {
        let id = rejected.source_id.map_or_else(|| "something".to_owned(), |id| id.to_string());
        text.extend([format!("  {id} is no record: {}\n", escaped(&rejected.reason))]);
    }
    text
}

fn record_text(record: &Record) -> String {
    let mut line = format!("  {}", record.source_id);
    let times = [
        ("workspace", record.workspace_id.map(|id| id.to_string())),
        ("user", record.user_id.map(|id| id.to_string())),
        ("starts", record.started_at.map(time)),
        ("modified", record.modified_at.map(time)),
        ("deleted", record.deleted_at.map(time)),
    ];
    for (name, value) in times {
        if let Some(value) = value {
            line.extend([format!(", {name} {value}")]);
        }
    }
    format!("{line}\n{}", data_text(&record.data))
}

fn data_text(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) => indented(text),
        Err(_) => format!("    not text: {}\n", hex(data, HEX)),
    }
}

fn unreadable(message: &Message, why: &str, as_json: bool) -> String {
    if as_json {
        let mut object = envelope(message);
        if let Value::Object(fields) = &mut object {
            fields.insert("unreadable".to_owned(), why.into());
        }
        return format!("{object}\n");
    }
    let mut lines = head(message);
    lines.push(("unreadable", escaped(why)));
    lines.push(("bytes", hex(&message.payload, HEX)));
    listed(message, lines)
}

fn envelope(message: &Message) -> Value {
    json!({
        "sequence": message.sequence,
        "subject": message.subject,
        "published_at": message.published_at,
        "bytes": message.payload.len(),
        "message_id": message.message_id(),
        "encoding": message.encoding(),
    })
}

/// A record with its data as it came.
#[derive(Serialize)]
struct RecordLine<'a> {
    source_id: i64,
    workspace_id: Option<i64>,
    modified_at: Option<jiff::Timestamp>,
    started_at: Option<jiff::Timestamp>,
    user_id: Option<i64>,
    deleted_at: Option<jiff::Timestamp>,
    /// Null where it is no JSON.
    data: Option<&'a RawValue>,
    /// What it is then.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
}

/// The envelope as `{"batch": …}`, then `{"record": …}` and `{"rejected": …}`, each a line.
fn json_lines(message: &Message, batch: &Batch) -> String {
    let mut object = envelope(message);
    if let Value::Object(fields) = &mut object {
        let of_batch = json!({
            "run_id": batch.run_id,
            "resource": batch.resource,
            "workspace_id": batch.workspace_id,
            "api_version": batch.api_version,
            "fetched_at": batch.fetched_at,
            "part": batch.part,
            "coverage": batch.coverage,
            "coverage_words": claimed(&batch.coverage),
            "records": batch.records.len(),
            "rejected": batch.rejected.len(),
        });
        if let Value::Object(of_batch) = of_batch {
            fields.extend(of_batch);
        }
    }
    let mut lines = format!("{}\n", json!({ "batch": object }));
    for record in &batch.records {
        // A line break between two values would make two lines of it.
        let one_line = std::str::from_utf8(&record.data).ok().filter(|text| !text.contains('\n'));
        let data = one_line.and_then(|text| serde_json::from_str(text).ok());
        let line = RecordLine {
            source_id: record.source_id,
            workspace_id: record.workspace_id,
            modified_at: record.modified_at,
            started_at: record.started_at,
            user_id: record.user_id,
            deleted_at: record.deleted_at,
            data,
            text: data.is_none().then(|| String::from_utf8_lossy(&record.data)),
        };
        if let Ok(line) = serde_json::to_string(&line) {
            lines.extend([format!("{{\"record\":{line}}}\n")]);
        }
    }
    for rejected in &batch.rejected {
        let line = json!({ "source_id": rejected.source_id, "reason": rejected.reason });
        lines.extend([format!("{}\n", json!({ "rejected": line }))]);
    }
    lines
}
