//! Whose stream it is, what this database lacks of it, and which copies there are.

use std::time::Duration;

use async_nats::jetstream::Context;
use jiff::Timestamp;
use shared::consumer::Readers;
use shared::exit::chain;
use shared::telemetry::SUBSCRIBER;
use sqlx::Connection as _;
use tracing::debug;

use crate::ownership::copies::{Copies, CopyLag};
use crate::ownership::error::LookError;
use crate::ownership::{self, Gone, Verdict, examine, gone_words, judge};
use crate::postgres::database::Database;

/// A database that is new to a large stream takes longer to compare; a loader does that in any case.
const LIMIT: Duration = Duration::from_secs(15);

/// What is known; nothing, where a server is away, which is said elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whose {
    /// That it is another database's, in words.
    pub(crate) foreign: Option<String>,
    /// Batches that were acknowledged and are not here, by table.
    pub(crate) absent: Vec<(&'static str, u64)>,
    /// What had left the stream before it came here.
    pub(crate) gone: Vec<Gone>,
    /// What waits for each copy.
    pub(crate) copies: Vec<CopyLag>,
}

impl Whose {
    /// What needs a person.
    pub(super) fn attention(&self, at: Timestamp) -> Vec<String> {
        let mut found: Vec<String> = self.foreign.iter().cloned().collect();
        let absent: u64 = self.absent.iter().map(|(_, count)| count).sum();
        if absent > 0 {
            let each: Vec<_> =
                self.absent.iter().map(|(name, count)| format!("{count} {name}")).collect();
            found.push(format!(
                "{absent} batches were acknowledged and are not in this database ({}), as after a \
                 restored backup: a loader loads them again when it starts, or within ten minutes",
                each.join(", ")
            ));
        }
        if !self.gone.is_empty() {
            found.push(gone_words(&self.gone, at));
        }
        found
    }

    /// A line for each copy.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |copy: &CopyLag| match copy.unloaded {
            0 => format!("Copy {}: nothing waits", copy.name),
            1 => format!("Copy {}: 1 batch waits", copy.name),
            waiting => format!("Copy {}: {waiting} batches wait", copy.name),
        };
        self.copies.iter().map(line).collect()
    }
}

/// Looks once, at everything.
pub(crate) async fn look(context: &Context, database: &Database, readers: &Readers) -> Whose {
    let copies = copies(&mut Copies::default(), context, readers).await;
    let compared = tokio::time::timeout(LIMIT, Box::pin(compare(context, database, readers)));
    let whose = match compared.await {
        Ok(Ok(whose)) => whose,
        Ok(Err(error)) => {
            debug!(target: SUBSCRIBER, "Could not compare database and stream: {}", chain(&error));
            Whose::default()
        }
        Err(_) => {
            debug!(target: SUBSCRIBER, "Comparing database and stream takes too long");
            Whose::default()
        }
    };
    Whose { copies, ..whose }
}

async fn compare(
    context: &Context,
    database: &Database,
    readers: &Readers,
) -> Result<Whose, LookError> {
    let mut connection = database.connect().await?;
    let owner = ownership::owner(&mut connection).await?;
    let mut whose = Whose::default();
    match judge(context, readers, &owner, &mut connection).await? {
        Verdict::Theirs(foreign) => whose.foreign = Some(foreign.to_string()),
        Verdict::Ours | Verdict::Free(_) => {
            let tables = examine(context, readers, &mut connection, &[]).await?.tables;
            let absent = tables.iter().filter(|table| table.absent > 0);
            whose.absent = absent.map(|table| (table.resource.name, table.absent)).collect();
            whose.gone = tables.into_iter().filter_map(|table| table.position.gone).collect();
        }
    }
    drop(connection.close().await);
    Ok(whose)
}

/// Those of the pipeline itself; a copy has none.
pub(crate) async fn copies(
    copies: &mut Copies,
    context: &Context,
    readers: &Readers,
) -> Vec<CopyLag> {
    match readers {
        Readers::Main => copies.look(context).await,
        Readers::Copy(_) => Vec::new(),
    }
}
