//! The tables that a replay fills.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTimestamp, ToSqlx as _};
use sqlx::{Connection as _, FromRow, PgConnection};

use super::error::PrepareError;
use crate::apply::sql::query;
use crate::migrations;
use crate::postgres::schema::Schema;
use crate::postgres::trouble::{Lack, lack};

/// The table by which a schema is known to have been made by a replay.
const MARK: &str = "toggl_track__replay";

/// Looks whether the live tables are there, and makes those of another schema like them. What an
/// earlier replay made is taken as it is, unless it holds more than `until` allows.
///
/// Answers the server's time.
///
/// # Errors
/// See [`PrepareError`]; nothing was made then.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    schema: &Schema,
    until: Option<Timestamp>,
) -> Result<SqlTimestamp, PrepareError> {
    let tables = live_tables(connection).await?;
    let now = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *connection).await?;
    if *schema == Schema::RAW {
        return Ok(now);
    }
    let mut transaction = connection.begin().await?;
    // Of two replays that begin together, one makes the tables.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(schema.lock_name(MARK))
        .execute(&mut *transaction)
        .await?;
    create(&mut transaction, schema, &tables).await?;
    check_shape(&mut transaction, schema, &tables).await?;
    if let Some(until) = until {
        check_nothing_later(&mut transaction, schema, until).await?;
    }
    transaction.commit().await?;
    Ok(now)
}

/// The names of the tables of `raw` that another schema has too.
async fn live_tables(connection: &mut PgConnection) -> Result<Vec<String>, PrepareError> {
    let wanted: Vec<_> = migrations::tables().collect();
    let found: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = to_regnamespace('raw') and relname = any($1) and relkind in ('r', 'p')",
    )
    .bind(&wanted)
    .fetch_all(connection)
    .await?;
    if found.len() < wanted.len() {
        return Err(PrepareError::NotMigrated);
    }
    Ok(wanted)
}

async fn create(
    connection: &mut PgConnection,
    schema: &Schema,
    tables: &[String],
) -> Result<(), PrepareError> {
    let (exists, taken, marked): (bool, bool, bool) = sqlx::query_as(
        "select exists (select from pg_namespace where nspname = $1),
                exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = $1 and c.relname = any($2)),
                exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = $1 and c.relname = $3)",
    )
    .bind(schema.name())
    .bind(tables)
    .bind(MARK)
    .fetch_one(&mut *connection)
    .await?;
    if taken && !marked {
        return Err(PrepareError::Taken(schema.clone()));
    }
    let mut statements = Vec::new();
    if !exists {
        statements.push(format!("create schema {schema}"));
    }
    if !marked {
        statements.push(format!(
            "create table {schema}.{MARK} (made_at timestamptz primary key default now())"
        ));
        statements.push(format!("insert into {schema}.{MARK} default values"));
        statements.push(format!(
            "comment on table {schema}.{MARK} is 'This schema was made by `loader replay --into`, and may be dropped.'"
        ));
    }
    statements.extend(tables.iter().map(|table| {
        format!("create table if not exists {schema}.{table} (like raw.{table} including all)")
    }));
    for statement in statements {
        query(statement)
            .execute(&mut *connection)
            .await
            .map_err(|error| forbidden(schema, error))?;
    }
    Ok(())
}

fn forbidden(schema: &Schema, error: sqlx::Error) -> PrepareError {
    match lack(&error) {
        Some(Lack::Rights) => PrepareError::Forbidden(schema.clone(), error),
        Some(Lack::Tables) | None => error.into(),
    }
}

/// Tables that an earlier replay made may lack what a migration has added since.
async fn check_shape(
    connection: &mut PgConnection,
    schema: &Schema,
    tables: &[String],
) -> Result<(), PrepareError> {
    let other: Option<String> = sqlx::query_scalar(
        "select name from (
             select c.relname::text as name,
                    string_agg(format('%s %s %s', a.attname, a.atttypid, a.attgenerated), ','
                               order by a.attname) as columns
             from pg_class c
             join pg_namespace n on n.oid = c.relnamespace
             join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where n.nspname in ('raw', $1) and c.relname = any($2)
             group by n.nspname, c.relname
         ) shapes
         group by name having count(distinct columns) > 1 order by name limit 1",
    )
    .bind(schema.name())
    .bind(tables)
    .fetch_optional(connection)
    .await?;
    match other {
        Some(table) => Err(PrepareError::Shape { schema: schema.clone(), table }),
        None => Ok(()),
    }
}

/// What was applied once cannot be taken back.
async fn check_nothing_later(
    connection: &mut PgConnection,
    schema: &Schema,
    until: Timestamp,
) -> Result<(), PrepareError> {
    let row = query(format!(
        "select exists (select from {schema}.toggl_track__loads where fetched_at > $1)"
    ))
    .bind(until.to_sqlx())
    .fetch_one(connection)
    .await?;
    let (later,) = FromRow::from_row(&row)?;
    if later { Err(PrepareError::Later(schema.clone())) } else { Ok(()) }
}
