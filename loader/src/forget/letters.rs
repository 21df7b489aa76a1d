//! Dead letters that hold them: as records of their own, in kept batches, in messages.

use bytes::Bytes;
use shared::batch::{Batch, Coverage, EncodeError, ZSTD};
use sqlx::{FromRow, PgConnection};

use super::Whom;
use super::erase::Counts;
use super::error::ForgetError;
use crate::apply::forgotten::List;
use crate::apply::forgotten::person::{Verdict, judge};

#[derive(Debug, FromRow)]
struct Kept {
    dead_letter_id: i64,
    resource: String,
    source_id: Option<i64>,
    record_index: Option<i32>,
    payload: Vec<u8>,
    encoding: Option<String>,
    batch: Option<Vec<u8>>,
}

/// What is to become of a letter.
enum Fate {
    Stays,
    Goes,
    /// With other bytes: the payload, the batch, and whether the payload is packed.
    Changes {
        payload: Bytes,
        batch: Option<Bytes>,
        packed: bool,
    },
    /// Nobody can tell whom it holds.
    Unreadable,
}

/// Goes through the letters one by one, for a whole batch may be large. Answers also which cannot be read.
pub(super) async fn letters(
    connection: &mut PgConnection,
    whom: Whom,
) -> Result<(Counts, Vec<i64>), ForgetError> {
    let deleted = sqlx::query(
        "delete from raw.toggl_track__dead_letters where user_id = $1 or workspace_id = $2",
    )
    .bind(whom.user_id())
    .bind(whom.workspace_id())
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let (mut counts, mut unreadable) = (Counts { deleted, cleaned: 0 }, Vec::new());
    let list = whom.list();
    let mut after = 0;
    while let Some(kept) = next(connection, after).await? {
        after = kept.dead_letter_id;
        match fate(&list, &kept)? {
            Fate::Stays => {}
            Fate::Goes => {
                delete(connection, after).await?;
                counts.deleted += 1;
            }
            Fate::Changes { payload, batch, packed } => {
                change(connection, after, &payload, batch.as_deref(), packed).await?;
                counts.cleaned += 1;
            }
            Fate::Unreadable => unreadable.push(after),
        }
    }
    Ok((counts, unreadable))
}

async fn next(connection: &mut PgConnection, after: i64) -> sqlx::Result<Option<Kept>> {
    sqlx::query_as(
        "select dead_letter_id, resource, source_id, record_index, payload, encoding, batch
         from raw.toggl_track__dead_letters where dead_letter_id > $1
         order by dead_letter_id limit 1 for update",
    )
    .bind(after)
    .fetch_optional(connection)
    .await
}

async fn delete(connection: &mut PgConnection, id: i64) -> sqlx::Result<()> {
    sqlx::query("delete from raw.toggl_track__dead_letters where dead_letter_id = $1")
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
}

async fn change(
    connection: &mut PgConnection,
    id: i64,
    payload: &[u8],
    batch: Option<&[u8]>,
    packed: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "update raw.toggl_track__dead_letters set payload = $2, batch = $3, encoding = $4
         where dead_letter_id = $1",
    )
    .bind(id)
    .bind(payload)
    .bind(batch)
    .bind(packed.then_some(ZSTD))
    .execute(connection)
    .await
    .map(drop)
}

fn fate(list: &List, kept: &Kept) -> Result<Fate, EncodeError> {
    if kept.record_index.is_some() && kept.batch.is_none() {
        return Ok(fate_of_text(list, kept));
    }
    let decoded = match &kept.batch {
        Some(batch) => Batch::decode(batch, Some(ZSTD)),
        None => Batch::decode(&kept.payload, kept.encoding.as_deref()),
    };
    let decoded = decoded.and_then(|batch| Ok((batch.known_resource()?, batch)));
    let Ok((resource, batch)) = decoded else {
        return Ok(Fate::Unreadable);
    };
    let without = list.without(resource, &batch);
    if matches!(without, std::borrow::Cow::Borrowed(_)) {
        return Ok(Fate::Stays);
    }
    let claims = without.coverage != Coverage::Partial;
    if without.records.is_empty() && without.rejected.is_empty() && !claims {
        return Ok(Fate::Goes);
    }
    let packed = without.encode()?;
    Ok(match (kept.record_index, &kept.batch, without.records.first()) {
        // A record of its own stands beside its batch as text.
        (Some(_), _, Some(record)) => {
            Fate::Changes { payload: record.data.clone(), batch: Some(packed), packed: false }
        }
        (Some(_), _, None) => Fate::Goes,
        (None, Some(_), _) => {
            Fate::Changes { payload: packed.clone(), batch: Some(packed), packed: true }
        }
        (None, None, _) => Fate::Changes { payload: packed, batch: None, packed: true },
    })
}

/// Of what no record could be made.
fn fate_of_text(list: &List, kept: &Kept) -> Fate {
    let Some(resource) = shared::catalogue::find(&kept.resource) else {
        return Fate::Unreadable;
    };
    match judge(list, resource, kept.source_id, &kept.payload) {
        Verdict::Keep => Fate::Stays,
        Verdict::Drop => Fate::Goes,
        Verdict::Cleaned(text) => {
            Fate::Changes { payload: text.into(), batch: None, packed: false }
        }
    }
}
