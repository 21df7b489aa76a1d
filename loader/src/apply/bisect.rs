//! Finding the bad record in a batch that Postgres refuses.

use sqlx::{Connection as _, PgConnection};

use super::context::BatchContext;
use super::dead_record::DeadRecord;
use super::rows::Row;
use super::upsert;
use crate::postgres::trouble::{Trouble, classify};

/// Writes what can be written: a range that holds a refused record is halved until the record stands
/// alone. Each range has a savepoint, so that what was written before it stays. Ends early where more
/// than `most` are dead.
pub(crate) async fn bisect(
    connection: &mut PgConnection,
    context: BatchContext<'_>,
    rows: &[Row<'_>],
    dead: &mut Vec<DeadRecord>,
    most: usize,
) -> sqlx::Result<u64> {
    let mut written = 0;
    let mut ranges = vec![rows];
    while let Some(range) = ranges.pop().filter(|_| dead.len() <= most) {
        if range.is_empty() {
            continue;
        }
        let mut savepoint = connection.begin().await?;
        match upsert::write(&mut savepoint, context, range).await {
            Ok(count) => {
                savepoint.commit().await?;
                written += count;
            }
            Err(error) if classify(&error) == Trouble::Data => {
                savepoint.rollback().await?;
                if let [row] = range {
                    dead.push(DeadRecord::refused(row.record_index, &error));
                } else {
                    let (left, right) = range.split_at(range.len() / 2);
                    ranges.extend([right, left]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
