//! `loader dead-letters show`.

use clap::Args;
use jiff_sqlx::Timestamp;
use shared::batch::{Batch, Coverage, ZSTD};
use shared::exit::{Exit, chain};
use shared::output::print;
use sqlx::types::Uuid;
use sqlx::{FromRow, PgConnection};

use super::error::LettersError;
use super::text::{escaped, hex, indented, time};
use crate::apply::dead_letters::letter::Kind;

pub(super) const EXAMPLES: &str = "\
Examples:
  loader dead-letters show 12
  loader dead-letters show 12 --payload | jq .";

/// So many bytes of what is no text are shown.
const HEX: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The dead letter's id, as `list` shows it.
    #[arg(value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
    /// Write the bytes that are kept, exactly and nothing else.
    #[arg(long)]
    payload: bool,
}

#[derive(Debug, FromRow)]
struct Shown {
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
    encoding: Option<String>,
    payload: Vec<u8>,
    batch: Option<Vec<u8>>,
}

pub(super) async fn show(
    connection: &mut PgConnection,
    args: &ShowArgs,
) -> Result<Exit, LettersError> {
    let letter: Shown = sqlx::query_as(
        "select dead_letter_id, kind, resource, workspace_id, source_id, record_index, reason,
                sqlstate, subject, stream_sequence, run_id, fetched_at, published_at, created_at,
                encoding, payload, batch
         from raw.toggl_track__dead_letters where dead_letter_id = $1",
    )
    .bind(args.id)
    .fetch_optional(connection)
    .await?
    .ok_or(LettersError::NoSuchLetter(args.id))?;
    if args.payload {
        print(&letter.payload)?;
    } else {
        print(letter.text())?;
    }
    Ok(Exit::Done)
}

impl Shown {
    fn text(&self) -> String {
        let mut lines =
            vec![format!("Dead letter {} ({})", self.dead_letter_id, escaped(&self.kind))];
        for (name, value) in self.fields() {
            lines.extend(value.map(|value| format!("  {name:<10} {}", escaped(&value))));
        }
        lines.join("\n") + "\n" + &self.content()
    }

    fn fields(&self) -> [(&'static str, Option<String>); 13] {
        let number = |id: Option<i64>| id.map(|id| id.to_string());
        [
            ("reason", Some(self.reason.clone())),
            ("SQLSTATE", self.sqlstate.clone()),
            ("resource", Some(self.resource.clone())),
            ("workspace", number(self.workspace_id)),
            ("source id", number(self.source_id)),
            ("subject", Some(self.subject.clone())),
            ("sequence", Some(self.stream_sequence.to_string())),
            ("record", self.record_index.map(|index| format!("{index} of the batch, from 0"))),
            ("run", self.run_id.map(|id| id.to_string())),
            ("fetched", self.fetched_at.map(|at| format!("{} UTC", time(at)))),
            ("published", Some(format!("{} UTC", time(self.published_at)))),
            ("created", Some(format!("{} UTC", time(self.created_at)))),
            ("batch", self.batch.as_deref().map(|batch| describe(batch, Some(ZSTD)))),
        ]
    }

    /// The payload: a record as text, a message by what its envelope says.
    fn content(&self) -> String {
        let size = self.payload.len();
        let message = match Kind::named(&self.kind) {
            // Shown as its batch already.
            Kind::Claim | Kind::Shape => return format!("  payload    {size} bytes, the batch\n"),
            Kind::Message => Some(describe(&self.payload, self.encoding.as_deref())),
            Kind::Record | Kind::Rejected => None,
        };
        let bytes = || indented(&hex(&self.payload, HEX));
        match (message, std::str::from_utf8(&self.payload)) {
            (Some(message), _) => {
                let encoding = self.encoding.as_deref().unwrap_or("none");
                format!(
                    "  encoding   {}\n  payload    {size} bytes: {}\n{}",
                    escaped(encoding),
                    escaped(&message),
                    bytes()
                )
            }
            (None, Ok(text)) => format!("  payload    {size} bytes\n{}", indented(text)),
            (None, Err(_)) => format!("  payload    {size} bytes that are not text\n{}", bytes()),
        }
    }
}

/// The envelope of a batch in words, or why it cannot be read.
fn describe(payload: &[u8], encoding: Option<&str>) -> String {
    let batch = match Batch::decode(payload, encoding) {
        Ok(batch) => batch,
        Err(error) => return format!("cannot be decoded: {}", chain(&error)),
    };
    let rejected = match batch.rejected.len() {
        0 => String::new(),
        rejected => format!(", {rejected} rejected"),
    };
    format!(
        "{} of {} ({}), workspace {}, part {}: {} records{rejected}, {}",
        batch.resource,
        batch.fetched_at,
        batch.api_version,
        batch.workspace_id,
        batch.part,
        batch.records.len(),
        claimed(&batch.coverage)
    )
}

/// What a batch is complete for, in words.
pub(crate) fn claimed(coverage: &Coverage) -> String {
    match coverage {
        Coverage::Partial => "complete for nothing".to_owned(),
        Coverage::Ids { after, through } => {
            let after = after.map_or_else(String::new, |id| format!(" after {id}"));
            let through = through.map_or_else(String::new, |id| format!(" through {id}"));
            format!("complete for all ids{after}{through}")
        }
        Coverage::Starts { from, to, user_id } => {
            let user = user_id.map_or_else(String::new, |id| format!(" of user {id}"));
            format!("complete for all entries{user} that start from {from} to {to}")
        }
    }
}
