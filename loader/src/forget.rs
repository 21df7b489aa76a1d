//! `loader forget`: a person, or a workspace, is deleted from everything that is kept in Postgres, and nothing
//! is written of them from then on.

mod erase;
mod error;
mod letters;
mod remains;
mod rows;

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _};

use clap::{ArgGroup, Args};
use shared::exit::{Exit, Failure, OrExit as _};
use shared::nats::Server;
use shared::output::{ask, print, report};
use sqlx::{Connection as _, PgConnection};

use self::erase::{Erased, erase};
use self::error::ForgetError;
use self::remains::Remains;
use crate::apply::forgotten::List;
use crate::apply::lock;
use crate::postgres::database::Database;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader forget --user 2166398 --dry-run    what would be deleted
  loader forget --user 2166398
  loader forget --workspace 2230991 --yes
  loader forget --user 2166398 --undo       from now on they are loaded again";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").args(["user", "workspace"]).required(true))]
pub(crate) struct ForgetArgs {
    /// Toggl's id of a person: `source_id` in `raw.toggl_track__users`.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    user: Option<i64>,
    /// Toggl's id of a workspace, with everything in it.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    workspace: Option<i64>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Delete nothing, only say what would be deleted. Everything is tried and rolled back, and loaders wait
    /// meanwhile.
    #[arg(long)]
    dry_run: bool,
    /// Write them again from now on. What was deleted comes with the next sync that reads it, or by
    /// `loader replay --force`, as far as Toggl or the stream still has it.
    #[arg(long, conflicts_with = "dry_run")]
    undo: bool,
}

/// Whom a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    User(i64),
    Workspace(i64),
}

impl Whom {
    /// A list of nobody else.
    fn list(self) -> List {
        match self {
            Self::User(id) => List { users: [id].into(), ..List::default() },
            Self::Workspace(id) => List { workspaces: [id].into(), ..List::default() },
        }
    }

    const fn user_id(self) -> Option<i64> {
        match self {
            Self::User(id) => Some(id),
            Self::Workspace(_) => None,
        }
    }

    const fn workspace_id(self) -> Option<i64> {
        match self {
            Self::User(_) => None,
            Self::Workspace(id) => Some(id),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user {id}"),
            Self::Workspace(id) => write!(f, "workspace {id}"),
        }
    }
}

impl ForgetArgs {
    fn whom(&self) -> Option<Whom> {
        self.user.map(Whom::User).or(self.workspace.map(Whom::Workspace))
    }

    /// # Errors
    /// Where nobody can be asked and nobody said yes beforehand.
    fn check_stdin(&self) -> Result<(), ForgetError> {
        let asks = !self.yes && !self.dry_run && !self.undo;
        if asks && !io::stdin().is_terminal() { Err(ForgetError::NobodyToAsk) } else { Ok(()) }
    }
}

/// Forgets, beside running loaders or without any, and says what remains where this command does not reach.
/// NATS is only asked how long the stream keeps what it has, and need not be there.
///
/// # Errors
/// When Postgres is out of reach or refuses; nothing was deleted then.
pub(crate) async fn run(
    server: Server<'_>,
    database: Database,
    args: ForgetArgs,
) -> Result<Exit, Failure> {
    // Before anything is asked of Postgres.
    args.check_stdin().or_exit(Exit::Usage)?;
    let whom = args.whom().ok_or(ForgetError::Nobody).or_exit(Exit::Usage)?;
    let mut connection = database.connect_awake().await.or_exit(Exit::Unreachable)?;
    let ended = if args.undo {
        undo(&mut connection, whom).await
    } else {
        Box::pin(forget(&server, &mut connection, whom, &args)).await
    };
    ended.map_err(|error| Failure { exit: error.exit(), error: error.into() })
}

async fn forget(
    server: &Server<'_>,
    connection: &mut PgConnection,
    whom: Whom,
    args: &ForgetArgs,
) -> Result<Exit, ForgetError> {
    if !args.yes && !args.dry_run && !confirmed(whom)? {
        report("Nothing was deleted\n");
        return Ok(Exit::Done);
    }
    let erased = patiently(connection, whom, args.dry_run).await?;
    let remains = Remains::look(server, connection, whom).await?;
    let said = said(whom, args.dry_run, &erased, &remains);
    if args.dry_run {
        print(said)?;
    } else {
        report(said);
    }
    Ok(if erased.unreadable.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Asks again while loaders hold what is wanted.
async fn patiently(
    connection: &mut PgConnection,
    whom: Whom,
    dry_run: bool,
) -> Result<Erased, ForgetError> {
    let mut delays = error::patience();
    loop {
        let error = match erase(connection, whom, dry_run).await {
            Err(error) if error.is_passing() && connection.ping().await.is_ok() => error,
            ended => return ended,
        };
        tokio::time::sleep(delays.next_delay().ok_or(error)?).await;
    }
}

async fn undo(connection: &mut PgConnection, whom: Whom) -> Result<Exit, ForgetError> {
    let mut transaction = connection.begin().await?;
    lock::stop_all(&mut transaction).await?;
    let undone = sqlx::query(
        "delete from raw.toggl_track__forgotten where user_id = $1 or workspace_id = $2",
    )
    .bind(whom.user_id())
    .bind(whom.workspace_id())
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    transaction.commit().await?;
    report(if undone == 0 {
        format!("Of {whom} everything is loaded already\n")
    } else {
        format!(
            "From now on {whom} is loaded again. What was deleted comes with the next sync that reads it, \
             or by `loader replay --force`, as far as Toggl or the stream still has it\n"
        )
    });
    Ok(Exit::Done)
}

fn confirmed(whom: Whom) -> Result<bool, ForgetError> {
    ask(format!("Delete all that is known of {whom}, for good? [y/N] "))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(ForgetError::Input)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn said(whom: Whom, dry_run: bool, erased: &Erased, remains: &Remains) -> String {
    let (deleted, cleaned) =
        if dry_run { ("to delete", "to clean") } else { ("deleted", "cleaned") };
    let mut lines = Vec::new();
    if erased.places.is_empty() {
        lines.push(format!("Nothing is stored of {whom}"));
    } else {
        lines.push(format!("Of {whom}, in rows:"));
    }
    for (place, counts) in &erased.places {
        let mut words = Vec::new();
        if counts.deleted > 0 {
            words.push(format!("{} {deleted}", counts.deleted));
        }
        if counts.cleaned > 0 {
            words.push(format!("{} {cleaned} of them", counts.cleaned));
        }
        lines.push(format!("  {place:<20} {}", words.join(", ")));
    }
    if dry_run {
        lines.push("Nothing was deleted".to_owned());
    } else {
        let option = match whom {
            Whom::User(id) => format!("--user {id}"),
            Whom::Workspace(id) => format!("--workspace {id}"),
        };
        lines.push(format!(
            "From now on nothing is written of them, of new batches or replayed ones, until \
             `loader forget {option} --undo`"
        ));
    }
    lines.push("What this does not reach:".to_owned());
    lines.extend(
        erased
            .unreadable_words()
            .into_iter()
            .chain(remains.words())
            .map(|words| format!("  - {words}")),
    );
    lines.join("\n") + "\n"
}
