//! `loader adopt`: the stream is loaded into this database from now on.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::Info;
use shared::catalogue::CATALOGUE;
use shared::consumer::{self, Notes, Owner, Readers};
use shared::stream::STREAM;
use sqlx::PgConnection;

use super::decide::consumers;
use super::error::{LookError, answered};
use super::move_lock::lock_moves;
use super::owner::owner;
use super::positions::forget_gone;

pub(crate) const EXAMPLES: &str = "\
Examples:
  loader adopt                                 the stream is loaded into this database, and no other
  DATABASE_URL=postgres://db/new loader adopt  the same for another one
  loader adopt --copy analysts                 the same for the consumers of a copy

When:
  moved to another server by a dump   stop the loaders, restore the dump there, start them with the
                                      new DATABASE_URL: nothing else, unless a loader of the former
                                      database still runs
  a backup was restored               nothing: loaders notice, and load again what is missing
  a new, empty database               loader adopt; it gets everything that the stream holds
  two databases that both get all     not this: start the loaders of one with --copy NAME
  what is gone from the stream is     loader adopt: `loader status` names it no more
  not needed";

/// Loaders of the first release make their consumers anew without asking; one of them may be quicker.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Moves the consumers, and answers what was done, in a line.
///
/// # Errors
/// When either server is in trouble; begun is begun, and the same again finishes it.
pub(crate) async fn adopt(
    context: &Context,
    readers: &Readers,
    connection: &mut PgConnection,
) -> Result<String, LookError> {
    let ours = owner(connection).await?;
    let mut transaction = lock_moves(connection).await?;
    let forgotten = forget_gone(&mut transaction).await?;
    let moved = move_consumers(context, readers, &ours).await?;
    answered(transaction.commit()).await?;
    let what = match readers.copy() {
        None => format!("The stream {STREAM}"),
        Some(name) => format!("The copy {name} of the stream {STREAM}"),
    };
    let done = match moved {
        Moved::From(Some(before)) => format!(
            "{what} is loaded into this database ({ours}) from now on, and no more into that of {before}"
        ),
        Moved::From(None) => {
            format!("{what} is loaded into this database ({ours}) from now on")
        }
        Moved::Was => format!("{what} is loaded into this database ({ours}) already"),
        Moved::Nobody => format!(
            "{what} is loaded by nobody yet: a loader of this database ({ours}) takes it when it starts"
        ),
    };
    let gone = match forgotten {
        0 => String::new(),
        tables => format!("; what {tables} tables lack of it is named no more"),
    };
    Ok(format!("{done}{gone}\n"))
}

enum Moved {
    /// From this owner, if anybody knew it.
    From(Option<Owner>),
    Was,
    Nobody,
}

fn owner_of(info: &Info) -> Option<Owner> {
    Notes::of(&info.config.metadata).owner
}

/// First all of them say whose they are now, so that no loader of the former database makes one anew;
/// then each is made anew, upon which those loaders hear that theirs was deleted.
async fn move_consumers(
    context: &Context,
    readers: &Readers,
    ours: &Owner,
) -> Result<Moved, LookError> {
    let stream = context.get_stream(STREAM).await?;
    let found = consumers(&stream, readers).await?;
    let owners: Vec<_> = found.iter().map(|(_, info)| owner_of(info)).collect();
    if owners.is_empty() {
        return Ok(Moved::Nobody);
    }
    let is_ours = |owner: &Option<Owner>| owner.as_ref() == Some(ours);
    if owners.iter().all(is_ours) {
        return Ok(Moved::Was);
    }
    for _ in 0..ATTEMPTS {
        // The trouble was that of the former database.
        let owned = |_| Notes { owner: Some(ours.clone()), trouble: None };
        for resource in CATALOGUE {
            consumer::change_notes(context, readers, resource, owned).await?;
        }
        for resource in CATALOGUE {
            consumer::begin_anew(context, readers, resource, None, owned).await?;
        }
        let found = consumers(&stream, readers).await?;
        if found.iter().all(|(_, info)| is_ours(&owner_of(info))) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Moved::From(owners.into_iter().flatten().find(|owner| owner != ours)))
}
