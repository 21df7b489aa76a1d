//! Whose the consumers are, read off what stands in them.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::Stream;
use futures::future::try_join_all;
use shared::catalogue::CATALOGUE;
use shared::consumer::{self, Foreign, Notes, Owner, Readers, Whose};
use shared::resource::Resource;
use shared::stream::STREAM;
use shared::telemetry::SUBSCRIBER;
use sqlx::PgConnection;
use tracing::info;

use super::absent_loads::examine;
use super::error::LookError;

/// Pull requests are renewed all at once, and none is there for a moment.
const SECOND_LOOK: Duration = Duration::from_millis(400);

/// What the consumers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are this database's, or there are none.
    Ours,
    /// They may become this database's: nobody reads them, or nobody knows whose they are and this
    /// database misses nothing of theirs. With the owner that they have, if they have one.
    Free(Option<Owner>),
    /// They are another database's.
    Theirs(Foreign),
}

/// A consumer that is there.
pub(super) type Found = (&'static Resource, Info);

/// All consumers that are there.
pub(super) async fn consumers(stream: &Stream, readers: &Readers) -> Result<Vec<Found>, LookError> {
    let found = CATALOGUE.iter().map(async |resource| {
        match stream.consumer_info(readers.consumer(resource)).await {
            Ok(info) => Ok(Some((resource, info))),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

/// Looks, and changes nothing.
pub(crate) async fn judge(
    context: &Context,
    readers: &Readers,
    owner: &Owner,
    connection: &mut PgConnection,
) -> Result<Verdict, LookError> {
    let stream = context.get_stream(STREAM).await?;
    let found = consumers(&stream, readers).await?;
    let owners: Vec<Option<Owner>> =
        found.iter().map(|(_, info)| Notes::of(&info.config.metadata).owner).collect();
    let theirs = |whose| Verdict::Theirs(Foreign { readers: readers.clone(), whose });
    let mut known = owners.iter().flatten();
    if let Some(other) = known.clone().find(|other| other.installation != owner.installation) {
        return Ok(theirs(Whose::Other(other.clone())));
    }
    let twin = known.clone().find(|other| !owner.is_same(other));
    if owners.iter().flatten().eq(std::iter::repeat_n(owner, owners.len())) {
        return Ok(Verdict::Ours);
    }
    if twin.is_none() && known.next().is_some() {
        // Some of them lost their metadata, or Postgres tells more than it did.
        return Ok(Verdict::Free(None));
    }
    if !is_read(&stream, readers, &found).await? {
        return Ok(Verdict::Free(twin.cloned()));
    }
    if let Some(twin) = twin {
        return Ok(theirs(Whose::Twin(twin.clone())));
    }
    let examined = examine(context, readers, connection, &[]).await?;
    let misses = examined.tables.iter().any(|table| table.absent > 0);
    Ok(if misses { theirs(Whose::Unknown) } else { Verdict::Free(None) })
}

/// Whether anybody waits for messages of any of them.
async fn is_read(stream: &Stream, readers: &Readers, found: &[Found]) -> Result<bool, LookError> {
    let waits = |found: &[Found]| found.iter().any(|(_, info)| info.num_waiting > 0);
    if waits(found) {
        return Ok(true);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    Ok(waits(&consumers(stream, readers).await?))
}

/// Writes into the consumers that are there whose they are now, but for those that another installation
/// has taken meanwhile.
async fn take(context: &Context, readers: &Readers, owner: &Owner) -> Result<(), LookError> {
    for resource in CATALOGUE {
        consumer::change_notes(context, readers, resource, |notes| {
            let before = notes.owner.filter(|other| other.installation != owner.installation);
            Notes { owner: Some(before.unwrap_or_else(|| owner.clone())), trouble: notes.trouble }
        })
        .await?;
    }
    Ok(())
}

/// Decides, and takes what is free.
///
/// # Errors
/// When it could not be found out; a stream that is another database's is an answer.
pub(super) async fn decide(
    context: &Context,
    readers: &Readers,
    owner: &Owner,
    connection: &mut PgConnection,
) -> Result<Result<(), Foreign>, LookError> {
    match judge(context, readers, owner, connection).await? {
        Verdict::Ours => Ok(Ok(())),
        Verdict::Theirs(foreign) => Ok(Err(foreign)),
        Verdict::Free(before) => {
            take(context, readers, owner).await?;
            if let Some(before) = before {
                info!(
                    target: SUBSCRIBER,
                    "Took over the stream {STREAM}: it was loaded into another copy of this database \
                     ({before}), which no loader serves any more"
                );
            }
            Ok(Ok(()))
        }
    }
}
