//! `loader dead-letters retry`.

use clap::Args;
use jiff_sqlx::Timestamp;
use shared::batch::{Batch, DecodeError, ZSTD};
use shared::exit::{Exit, chain};
use shared::output::report;
use shared::resource::Resource;
use sqlx::{FromRow, PgConnection};

use super::error::{LettersError, patience};
use super::filter::Selection;
use super::outcome::{Outcome, Tally};
use crate::apply::applied::ApplyError;
use crate::apply::begin::apply_again;
use crate::apply::dead_letters::letter::{Kind, Letter};
use crate::apply::fits::{APPLY_TIMEOUT, Fits};
use crate::apply::origin::Origin;
use crate::apply::settings::{History, Options};
use crate::apply::time_limit::within;
use crate::postgres::database::Database;
use crate::postgres::trouble::{Trouble, classify};

pub(super) const EXAMPLES: &str = "\
Examples:
  loader dead-letters retry --id 12
  loader dead-letters retry --resource tags --reason 'check constraint'
  loader dead-letters retry --all
  loader dead-letters retry --id 15 --allow-mass-delete    it is true that most rows are gone";

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    selection: Selection,
    /// Believe listings that lack more than half of 20 or more rows: mark these rows deleted.
    #[arg(long)]
    allow_mass_delete: bool,
}

#[derive(Debug, FromRow)]
struct Stored {
    kind: String,
    resource: String,
    source_id: Option<i64>,
    subject: String,
    stream_sequence: i64,
    published_at: Timestamp,
    encoding: Option<String>,
    /// The whole message where that is kept, else the batch made of it, if there is one.
    message: Option<Vec<u8>>,
}

/// Applies the letters one by one, the oldest first, each in a transaction of its own.
pub(super) async fn retry(
    database: Database,
    mut connection: PgConnection,
    args: &RetryArgs,
    history: History,
) -> Result<Exit, LettersError> {
    let ids = args.selection.filter.ids(&mut connection).await?;
    for id in args.selection.filter.missing(&ids) {
        report(format!("There is no dead letter {id}\n"));
    }
    if ids.is_empty() {
        report("No dead letters to apply\n");
        return Ok(Exit::Done);
    }
    let options = Options { allow_mass_delete: args.allow_mass_delete, history };
    let (connection, fits) = (Some(connection), Fits::default());
    let mut retrying = Retrying { database, connection, options, fits };
    let mut tally = Tally::of(ids.len());
    let settled = retrying.settle_each(ids, &mut tally).await;
    report(tally.to_string());
    settled.map(|()| tally.exit())
}

struct Retrying {
    database: Database,
    /// None after trouble: a connection in an unknown state is dropped, never reused.
    connection: Option<PgConnection>,
    options: Options,
    fits: Fits,
}

impl Retrying {
    async fn settle_each(&mut self, ids: Vec<i64>, tally: &mut Tally) -> Result<(), LettersError> {
        for id in ids {
            let (about, outcome) = self.settle(id).await?;
            report(format!("{id} {about}: {outcome}\n"));
            tally.add(&outcome);
        }
        Ok(())
    }

    /// Waits out what passes. Answers what the letter is about, and what became of it.
    async fn settle(&mut self, id: i64) -> Result<(String, Outcome), LettersError> {
        let mut delays = patience();
        loop {
            let error = match self.attempt(id).await {
                Err(error) if error.is_passing() => error,
                settled => return settled,
            };
            self.connection = None;
            let delay = delays.next_delay().ok_or(error)?;
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt(&mut self, id: i64) -> Result<(String, Outcome), LettersError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.database.connect().await?),
        };
        apply_letter(connection, id, self.options, &self.fits).await
    }
}

async fn apply_letter(
    connection: &mut PgConnection,
    id: i64,
    options: Options,
    fits: &Fits,
) -> Result<(String, Outcome), LettersError> {
    let Some(stored) = within(APPLY_TIMEOUT, read(connection, id)).await? else {
        return Ok(("dead letter".to_owned(), Outcome::Gone));
    };
    let source_id = stored.source_id.map_or_else(String::new, |id| format!(" {id}"));
    let about = format!("{}{source_id}", stored.resource);
    let letter = Letter { id, kind: Kind::named(&stored.kind) };
    let (resource, batch) = match stored.decode() {
        None => return Ok((about, Outcome::NoRecord)),
        Some(Ok(decoded)) => decoded,
        Some(Err(error)) => {
            let reason = chain(&error);
            letter.set_reason(connection, &reason, None).await?;
            return Ok((about, Outcome::Stays(reason)));
        }
    };
    let origin = stored.origin();
    let applying = apply_again(connection, resource, &batch, &origin, letter, options, fits);
    let outcome = match applying.await {
        Ok(applied) if letter.is_refused_again(applied) => {
            // It may be overtaken meanwhile.
            letter.reason(connection).await?.map_or(Outcome::Gone, Outcome::Stays)
        }
        Ok(applied) => Outcome::of(letter.kind, applied),
        Err(ApplyError::LetterGone) => Outcome::Gone,
        Err(error) if is_about_the_data(&error) => {
            let reason = chain(&error);
            letter.set_reason(connection, &reason, None).await?;
            Outcome::Stays(reason)
        }
        Err(error) => return Err(error.into()),
    };
    Ok((about, outcome))
}

async fn read(connection: &mut PgConnection, id: i64) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "select kind, resource, source_id, subject, stream_sequence, published_at, encoding,
                case kind when 'message' then payload else batch end as message
         from raw.toggl_track__dead_letters where dead_letter_id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// Trouble that the next letter need not have.
fn is_about_the_data(error: &ApplyError) -> bool {
    match error {
        ApplyError::Database(error) => classify(error) == Trouble::Data,
        ApplyError::TimedOut(_)
        | ApplyError::Encode(_)
        | ApplyError::ForgottenChanged
        | ApplyError::LetterGone => false,
    }
}

impl Stored {
    /// None where there is nothing to decode.
    fn decode(&self) -> Option<Result<(&'static Resource, Batch), DecodeError>> {
        let encoding = match Kind::named(&self.kind) {
            Kind::Rejected => return None,
            Kind::Message => self.encoding.as_deref(),
            Kind::Record | Kind::Claim | Kind::Shape => Some(ZSTD),
        };
        let batch = Batch::decode(self.message.as_deref()?, encoding);
        Some(batch.and_then(|batch| Ok((batch.known_resource()?, batch))))
    }

    fn origin(&self) -> Origin {
        Origin {
            subject: self.subject.clone(),
            stream_sequence: self.stream_sequence,
            published_at: self.published_at.to_jiff(),
            promised_age: None,
        }
    }
}
