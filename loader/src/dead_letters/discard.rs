//! `loader dead-letters discard`.

use std::io::{self, BufRead, IsTerminal as _};

use clap::Args;
use shared::exit::Exit;
use shared::output::{ask, report};
use sqlx::{Connection as _, PgConnection};

use super::error::{LettersError, patience};
use super::filter::Selection;

pub(super) const EXAMPLES: &str = "\
Examples:
  loader dead-letters discard --id 12,13
  loader dead-letters discard --reason 'mass delete' --yes
  loader dead-letters discard --all";

#[derive(Debug, Args)]
pub(crate) struct DiscardArgs {
    #[command(flatten)]
    selection: Selection,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl DiscardArgs {
    /// # Errors
    /// Where nobody can be asked and nobody said yes beforehand.
    pub(super) fn check_stdin(&self) -> Result<(), LettersError> {
        if self.yes || io::stdin().is_terminal() { Ok(()) } else { Err(LettersError::NobodyToAsk) }
    }
}

/// Deletes the letters that were there when it was asked, and none that came since.
pub(super) async fn discard(
    connection: &mut PgConnection,
    args: &DiscardArgs,
) -> Result<Exit, LettersError> {
    let ids = args.selection.filter.ids(connection).await?;
    for id in args.selection.filter.missing(&ids) {
        report(format!("There is no dead letter {id}\n"));
    }
    if ids.is_empty() {
        report("No dead letters to discard\n");
        return Ok(Exit::Done);
    }
    if !args.yes {
        ask(format!("Discard {}? Nothing brings them back. [y/N] ", letters(ids.len())))?;
        if !is_yes(io::stdin().lock())? {
            report("Nothing was discarded\n");
            return Ok(Exit::Done);
        }
    }
    let discarded = delete(connection, &ids).await?;
    report(format!("Discarded {}\n", letters(usize::try_from(discarded).unwrap_or(usize::MAX))));
    Ok(Exit::Done)
}

async fn delete(connection: &mut PgConnection, ids: &[i64]) -> Result<u64, LettersError> {
    let mut delays = patience();
    loop {
        let deleting =
            sqlx::query("delete from raw.toggl_track__dead_letters where dead_letter_id = any($1)");
        let error = match deleting.bind(ids).execute(&mut *connection).await {
            Ok(deleted) => return Ok(deleted.rows_affected()),
            Err(error) => LettersError::from(error),
        };
        // A loader holds some of them; without a connection there is nothing to wait for.
        if !error.is_passing() || connection.ping().await.is_err() {
            return Err(error);
        }
        tokio::time::sleep(delays.next_delay().ok_or(error)?).await;
    }
}

fn letters(count: usize) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}

fn is_yes(mut input: impl BufRead) -> Result<bool, LettersError> {
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(LettersError::Input)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (answer, yes) in
            [("y\n", true), (" YES \n", true), ("\n", false), ("", false), ("no", false)]
        {
            assert_eq!(is_yes(answer.as_bytes()).unwrap(), yes, "{answer:?}");
        }
    }
}
