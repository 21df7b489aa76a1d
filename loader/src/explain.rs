//! `loader explain`: why a row is as it is, and what a batch of the stream holds.
//!
//! What Postgres knows is asked there. What became of a key in the last batches is told by the rules of
//! every batch, over those that the stream still holds.

mod answer;
mod chapter;
mod error;
mod form;
mod json;
mod message;
mod sequence;
mod stored;
mod story;
mod text;
mod words;

use clap::{ArgGroup, Args};
use shared::catalogue;
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::{NatsArgs, Server};
use shared::output::print;
use sqlx::Connection as _;

use self::answer::Answer;
use self::error::ExplainError;
use self::stored::Asked;
use crate::postgres::database::{Database, DatabaseArgs};
use crate::resource_argument::resource_names;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader explain --resource projects --id 203540761
  loader explain --resource time_entries --id 4182011223 --json | jq '.batches[] | .words'
  loader explain --sequence 1204                     a batch of the stream, with its first records
  loader explain --sequence 1204 --json | jq -c 'select(.record) | .record.data'

Exit codes: 0 something is known of it, 6 nothing is (or the message can only be shown, not read),
5 Postgres is out of reach, or NATS for --sequence, 1 the message is not in the stream.";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["resource", "sequence"]).required(true))]
pub(crate) struct ExplainArgs {
    /// The row's resource.
    #[arg(long, value_name = "R", value_parser = resource_names(), requires = "id")]
    resource: Option<String>,
    /// The row's id at Toggl, the column `source_id`.
    #[arg(
        long,
        value_name = "N",
        requires = "resource",
        allow_negative_numbers = true,
        conflicts_with = "sequence"
    )]
    id: Option<i64>,
    /// The row's workspace, if several have this id, or the row is not stored.
    #[arg(long, value_name = "W", requires = "id")]
    workspace: Option<i64>,
    /// How many of the last batches of its resource and workspace to read; 0 asks only Postgres.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1_000))]
    batches: u16,
    /// Show the row's data whole.
    #[arg(long, requires = "id")]
    data: bool,
    /// Show this message of the stream instead of a row. Needs no Postgres.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
    /// The most records of a message that are shown; --json has all of them.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "sequence")]
    limit: usize,
    /// One JSON object; of a message one a line: its envelope, then each record.
    #[arg(long)]
    json: bool,
}

/// Looks and says what it sees, beside running loaders or without any.
pub(crate) async fn run(
    nats: &NatsArgs,
    database: &DatabaseArgs,
    args: &ExplainArgs,
) -> Result<Exit, Failure> {
    let server = nats.server().or_exit(Exit::Usage)?;
    if let Some(sequence) = args.sequence {
        let shown = sequence::show(&server, sequence, args.limit, args.json).await;
        return shown.map_err(|error| {
            let exit = error.downcast_ref().map_or(Exit::Unreachable, ExplainError::exit);
            Failure { exit, error }
        });
    }
    let database = database.database().or_exit(Exit::Usage)?;
    let answer = explain(&server, &database, args).await;
    answer.map_err(|error| Failure { exit: error.exit(), error: error.into() })
}

async fn explain(
    server: &Server<'_>,
    database: &Database,
    args: &ExplainArgs,
) -> Result<Exit, ExplainError> {
    let resource = args.resource.as_deref().and_then(catalogue::find);
    let Some((resource, id)) = resource.zip(args.id) else {
        // The command line asks for both.
        return Ok(Exit::Usage);
    };
    let mut connection = database.connect().await?;
    let asked = Asked { resource, id, workspace_id: args.workspace };
    let server = (args.batches > 0).then_some(server);
    let answer = Answer::gather(&mut connection, server, asked, args.batches).await?;
    drop(connection.close().await);
    let said = if args.json { json::json(&answer) } else { text::text(&answer, args.data) };
    print(said)?;
    Ok(if answer.is_known() { Exit::Done } else { Exit::Incomplete })
}
