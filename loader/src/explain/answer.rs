//! Everything that is known of a key, gathered from Postgres and the stream.

use shared::batch::Batch;
use shared::nats::Server;
use sqlx::PgConnection;

use super::error::ExplainError;
use super::message::Messages;
use super::stored::{Asked, Change, Covering, Letter, Load, Stored};
use super::story::{Became, Story};

pub(super) struct Answer {
    pub(super) asked: Asked,
    pub(super) stored: Option<Stored>,
    pub(super) claims: Vec<Covering>,
    pub(super) history: Vec<Change>,
    pub(super) letters: Vec<Letter>,
    /// In the order of loading.
    pub(super) batches: Vec<Looked>,
    /// Why the stream was not read.
    pub(super) away: Option<String>,
}

/// A batch of `loads`, looked for in the stream.
pub(super) struct Looked {
    pub(super) load: Load,
    pub(super) found: Found,
}

pub(super) enum Found {
    /// Read from the stream.
    Read {
        became: Became,
        /// Whether it has the version that is stored now.
        is_of_today: bool,
    },
    /// The stream no longer holds it.
    Gone,
    /// NATS is away, or no batch was to be read.
    Unread,
}

impl Answer {
    pub(super) async fn gather(
        connection: &mut PgConnection,
        server: Option<&Server<'_>>,
        mut asked: Asked,
        most: u16,
    ) -> Result<Self, ExplainError> {
        let mut rows = asked.rows(connection).await?;
        if rows.len() > 1 {
            let ids: Vec<_> = rows.iter().map(|row| row.workspace_id.to_string()).collect();
            return Err(ExplainError::Several(ids.join(", ")));
        }
        let stored = rows.pop();
        asked.workspace_id = stored.as_ref().map(|row| row.workspace_id).or(asked.workspace_id);
        let claims = asked.claims(connection, stored.as_ref()).await?;
        let history = asked.history(connection).await?;
        let letters = asked.letters(connection).await?;
        let times = stored.iter().flat_map(|row| [Some(row.fetched_at), row.deleted_at]);
        let times: Vec<_> = times.flatten().collect();
        // One more than is shown tells whether these are all.
        let mut loads = asked.loads(connection, i64::from(most) + 1, &times).await?;
        let is_whole = loads.len() <= usize::from(most);
        if !is_whole {
            drop_oldest(&mut loads, &times);
        }
        let story = Story::new(asked, &letters, stored.as_ref(), is_whole);
        let (batches, away) = tell(server, loads, story).await;
        let letters = letters.into_iter().filter(|letter| letter.source_id == Some(asked.id));
        let letters = letters.collect();
        Ok(Self { asked, stored, claims, history, letters, batches, away })
    }

    /// Whether anything was ever heard of it.
    pub(super) fn is_known(&self) -> bool {
        let in_batch = |looked: &Looked| match &looked.found {
            Found::Read { became, .. } => became.has_it(),
            Found::Gone | Found::Unread => false,
        };
        self.stored.is_some()
            || !self.history.is_empty()
            || !self.letters.is_empty()
            || self.batches.iter().any(in_batch)
    }

    /// The load that brought what is stored, or saw it again last: the one whose batch is known to have it,
    /// else one of its time.
    pub(super) fn brought_by(&self) -> Option<&Load> {
        let stored = self.stored.as_ref()?;
        let of_time =
            || self.batches.iter().filter(|looked| looked.load.fetched_at == stored.fetched_at);
        let has_it = |looked: &&Looked| match &looked.found {
            Found::Read { became, .. } => became.has_it(),
            Found::Gone | Found::Unread => false,
        };
        of_time().find(has_it).or_else(|| of_time().next()).map(|looked| &looked.load)
    }

    /// The load of the listing by which it was marked deleted.
    pub(super) fn deleted_by(&self) -> Option<&Load> {
        let deleted_at = self.stored.as_ref()?.deleted_at?;
        let of_time = || self.batches.iter().filter(|looked| looked.load.fetched_at == deleted_at);
        let lacks_it = |looked: &&Looked| match &looked.found {
            Found::Read { became, .. } => !became.has_it() && *became != Became::NotCovered,
            Found::Gone | Found::Unread => true,
        };
        of_time().find(lacks_it).map(|looked| &looked.load)
    }
}

/// The newest loads are kept, and those of the row's own times.
fn drop_oldest(loads: &mut Vec<Load>, times: &[jiff::Timestamp]) {
    let oldest = loads
        .iter()
        .enumerate()
        .filter(|(_, load)| !times.contains(&load.fetched_at))
        .min_by_key(|(_, load)| (load.fetched_at, load.stream_sequence))
        .map(|(place, _)| place);
    if let Some(oldest) = oldest {
        loads.remove(oldest);
    }
}

/// Reads the batches, and tells what became of it in each.
async fn tell(
    server: Option<&Server<'_>>,
    loads: Vec<Load>,
    mut story: Story<'_>,
) -> (Vec<Looked>, Option<String>) {
    let words = |error: anyhow::Error| shared::exit::chain(error.as_ref());
    let (mut messages, mut away) = match server {
        None => (None, None),
        Some(server) => match Messages::open(server).await {
            Ok(messages) => (Some(messages), None),
            Err(error) => (None, Some(words(error))),
        },
    };
    let mut batches = Vec::new();
    for load in loads {
        let read = match &messages {
            None => None,
            Some(messages) => match find(messages, &story, &load).await {
                Ok(read) => Some(read),
                Err(error) => {
                    away = Some(words(error.into()));
                    None
                }
            },
        };
        // What is away for one is away for all.
        if away.is_some() {
            messages = None;
        }
        let found = match read {
            None => Found::Unread,
            Some(None) => {
                story.skip();
                Found::Gone
            }
            Some(Some(batch)) => {
                let is_of_today = story.is_of_today(&batch);
                Found::Read { became: story.add(&load, &batch), is_of_today }
            }
        };
        batches.push(Looked { load, found });
    }
    (batches, away)
}

/// The batch of that load, if the stream still holds it. A stream that was made anew gives its sequences to
/// others.
async fn find(
    messages: &Messages,
    story: &Story<'_>,
    load: &Load,
) -> Result<Option<Batch>, super::error::StreamError> {
    let message = messages.read(load.stream_sequence.unsigned_abs()).await?;
    let batch = message.and_then(|message| message.decode().ok());
    let batch = batch.filter(|batch| story.is_of(load, batch));
    // Its own time of fetching may not have been believed.
    Ok(batch.map(|batch| Batch { fetched_at: load.fetched_at, ..batch }))
}
