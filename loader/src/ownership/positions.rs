//! How far `loads` was held against the stream, as it is on record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx};
use sqlx::{FromRow, PgConnection};

use super::error::{LookError, answered};
use super::gone::Gone;

/// Of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(super) stream_created_at: Timestamp,
    pub(super) complete_through: u64,
    pub(crate) gone: Option<Gone>,
}

#[derive(FromRow)]
struct PositionRow {
    resource: String,
    stream_created_at: SqlTimestamp,
    complete_through: i64,
    gone_from: Option<i64>,
    gone_through: Option<i64>,
    gone_after: Option<SqlTimestamp>,
    gone_before: Option<SqlTimestamp>,
}

impl PositionRow {
    fn position(self) -> (String, Position) {
        let gone = self.gone_from.zip(self.gone_through).zip(self.gone_before);
        let gone = gone.map(|((from, through), before)| Gone {
            resource: self.resource.clone(),
            from: from.unsigned_abs(),
            through: through.unsigned_abs(),
            after: self.gone_after.map(SqlTimestamp::to_jiff),
            before: before.to_jiff(),
        });
        let position = Position {
            stream_created_at: self.stream_created_at.to_jiff(),
            complete_through: self.complete_through.unsigned_abs(),
            gone,
        };
        (self.resource, position)
    }
}

async fn rows(connection: &mut PgConnection) -> sqlx::Result<Vec<PositionRow>> {
    sqlx::query_as(
        "select resource, stream_created_at, complete_through, gone_from, gone_through, gone_after,
                gone_before
         from raw.toggl_track__positions order by resource",
    )
    .fetch_all(connection)
    .await
}

/// By resource.
pub(super) async fn read(
    connection: &mut PgConnection,
) -> Result<BTreeMap<String, Position>, LookError> {
    Ok(answered(rows(connection)).await?.into_iter().map(PositionRow::position).collect())
}

/// What had left the stream before this database had it.
pub(crate) async fn gone(connection: &mut PgConnection) -> sqlx::Result<Vec<Gone>> {
    let positions = rows(connection).await?.into_iter().map(PositionRow::position);
    Ok(positions.filter_map(|(_, position)| position.gone).collect())
}

/// Records what was found.
pub(super) async fn write(
    connection: &mut PgConnection,
    resource: &str,
    position: &Position,
) -> Result<(), LookError> {
    let sequence = |sequence: u64| i64::try_from(sequence).unwrap_or(i64::MAX);
    let gone = position.gone.as_ref();
    let query = sqlx::query(
        "insert into raw.toggl_track__positions as p
             (resource, stream_created_at, complete_through, gone_from, gone_through, gone_after,
              gone_before)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (resource) do update
         set stream_created_at = excluded.stream_created_at,
             complete_through = excluded.complete_through, gone_from = excluded.gone_from,
             gone_through = excluded.gone_through, gone_after = excluded.gone_after,
             gone_before = excluded.gone_before, checked_at = now()",
    )
    .bind(resource)
    .bind(position.stream_created_at.to_sqlx())
    .bind(sequence(position.complete_through))
    .bind(gone.map(|gone| sequence(gone.from)))
    .bind(gone.map(|gone| sequence(gone.through)))
    .bind(gone.and_then(|gone| gone.after).map(ToSqlx::to_sqlx))
    .bind(gone.map(|gone| gone.before.to_sqlx()))
    .execute(connection);
    answered(query).await.map(drop)
}

/// A person knows what is gone.
pub(super) async fn forget_gone(connection: &mut PgConnection) -> Result<u64, LookError> {
    let query = sqlx::query(
        "update raw.toggl_track__positions
         set gone_from = null, gone_through = null, gone_after = null, gone_before = null
         where gone_from is not null",
    );
    Ok(answered(query.execute(connection)).await?.rows_affected())
}
