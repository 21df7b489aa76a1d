//! What Postgres knows: how current each table is, what waits as a dead letter, and how many rows
//! there are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTimestamp;
use shared::catalogue::CATALOGUE;
use shared::exit::chain;
use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection};

use super::Away;
use super::clock::{ClocksAhead, clocks_ahead};
use super::people::{Person, people};
use super::proof::Proof;
use crate::migrations::rights;
use crate::ownership::{Gone, gone};
use crate::postgres::database::{ConnectError, Database};
use crate::postgres::trouble::{Lack, Trouble, classify, lack};

/// Longer than a healthy server takes, shorter than a person's patience.
const LOOK_TIMEOUT: Duration = Duration::from_secs(12);
/// Millions of rows take seconds to count; the session's own limit on a statement is shorter.
const COUNT_TIMEOUT: Duration = Duration::from_secs(45);

/// The table of inventories.
const INVENTORIES: &str = "inventories";

/// Entry by entry is compared: millions take a minute.
const PROOF_TIMEOUT: Duration = Duration::from_mins(4);

#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// Tables that should be there.
    pub(crate) missing: Vec<&'static str>,
    /// By resource, of those that were ever loaded.
    pub(crate) freshness: BTreeMap<String, Freshness>,
    /// By resource.
    pub(crate) dead_letters: BTreeMap<String, i64>,
    /// What had left the stream before it came here.
    pub(crate) gone: Vec<Gone>,
    /// Of fetchers.
    pub(crate) clocks_ahead: ClocksAhead,
}

/// Of all workspaces together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Freshness {
    pub(crate) last_fetch: Option<Timestamp>,
    pub(crate) last_load: Option<Timestamp>,
    pub(crate) last_change: Option<Timestamp>,
    /// Of the workspace for which it is longest ago.
    pub(crate) complete: Option<Timestamp>,
    /// Of time entries, what is covered in every workspace.
    pub(crate) complete_from: Option<Timestamp>,
    pub(crate) complete_to: Option<Timestamp>,
    /// How old it gets at most, by those who start the runs.
    pub(crate) promise: Option<Promise>,
}

/// What is promised of a table, of the workspace for which that is least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) age: Duration,
    /// Whether it is kept now, in every workspace.
    pub(crate) is_kept: bool,
}

impl Store {
    /// Whether inventories of Toggl were ever loaded.
    pub(crate) fn is_verified(&self) -> bool {
        self.freshness.contains_key(INVENTORIES) && !self.missing.contains(&INVENTORIES)
    }

    /// When the last of them was.
    pub(crate) fn last_inventory(&self) -> Option<Timestamp> {
        self.freshness.get(INVENTORIES).and_then(|freshness| freshness.last_load)
    }

    /// When a loader last loaded anything.
    pub(crate) fn last_load(&self) -> Option<Timestamp> {
        self.freshness.values().filter_map(|freshness| freshness.last_load).max()
    }
}

/// Rows, and when they were counted.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    /// Just before the counting.
    pub(crate) at: Timestamp,
    /// What the counting took.
    pub(crate) took: Duration,
    pub(crate) rows: BTreeMap<&'static str, Rows>,
    /// Whose entries were read, in every workspace.
    pub(crate) people: Vec<Person>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) live: i64,
    pub(crate) deleted: i64,
}

/// Looks into Postgres, by a connection of its own.
#[derive(Debug)]
pub(crate) struct Looker {
    database: Database,
    /// None after trouble.
    connection: Option<PgConnection>,
}

impl Looker {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, connection: None }
    }

    pub(crate) async fn look(&mut self) -> Result<Store, Away> {
        self.within(LOOK_TIMEOUT, async |connection| store(connection).await).await
    }

    /// Counts the rows of these tables.
    pub(crate) async fn count(&mut self, missing: &[&'static str]) -> Result<Counts, Away> {
        self.within(COUNT_TIMEOUT, async |connection| count(connection, missing).await).await
    }

    /// Holds Toggl's inventories against the tables; none where there are no inventories.
    pub(crate) async fn prove(&mut self) -> Result<Option<Proof>, Away> {
        self.prove_with(async |connection| Proof::ask(connection).await).await
    }

    /// The same for other questions that compare entry by entry.
    pub(crate) async fn prove_with<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, Away> {
        self.within(PROOF_TIMEOUT, async |connection| {
            let mut transaction = connection.begin().await?;
            let limit = format!("set local statement_timeout = '{}s'", PROOF_TIMEOUT.as_secs());
            sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut *transaction).await?;
            let answer = question(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(answer)
        })
        .await
    }

    /// Takes leave of the server.
    pub(crate) async fn close(self) {
        if let Some(connection) = self.connection {
            drop(connection.close().await);
        }
    }

    /// Asks one question, by the connection that is there or a new one.
    pub(crate) async fn within<T>(
        &mut self,
        limit: Duration,
        question: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, Away> {
        // Put back only after an answer: in doubt the connection is made anew.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.connect().await.map_err(|error| unconnected(&error))?,
        };
        match tokio::time::timeout(limit, question(&mut connection)).await {
            Ok(Ok(answer)) => {
                self.connection = Some(connection);
                Ok(answer)
            }
            Ok(Err(error)) => Err(refused(&mut connection, &error).await),
            Err(_) => Err(Away {
                words: format!(
                    "Postgres did not answer in {} s; is it in trouble?",
                    limit.as_secs()
                ),
                out_of_reach: true,
            }),
        }
    }
}

fn unconnected(error: &ConnectError) -> Away {
    Away { words: chain(error), out_of_reach: true }
}

async fn refused(connection: &mut PgConnection, error: &sqlx::Error) -> Away {
    let words = match lack(error) {
        Some(Lack::Tables) => {
            "the tables of this database are missing or older than this loader: run `loader migrate`"
                .to_owned()
        }
        Some(Lack::Rights) => {
            let how = tokio::time::timeout(LOOK_TIMEOUT, rights::explain(connection, error)).await;
            format!(
                "this database role may not look: {}",
                how.ok().flatten().unwrap_or_else(|| chain(error))
            )
        }
        None => format!("Postgres is in trouble: {}", chain(error)),
    };
    Away { words, out_of_reach: classify(error) == Trouble::Passing }
}

#[derive(Debug, FromRow)]
struct FreshnessRow {
    resource: String,
    last_fetched_at: Option<SqlTimestamp>,
    last_loaded_at: Option<SqlTimestamp>,
    last_changed_at: Option<SqlTimestamp>,
    complete_at: Option<SqlTimestamp>,
    complete_from: Option<SqlTimestamp>,
    complete_to: Option<SqlTimestamp>,
    promised_seconds: Option<i64>,
    is_promise_kept: Option<bool>,
}

impl FreshnessRow {
    fn promise(&self) -> Option<Promise> {
        let age = Duration::from_secs(self.promised_seconds?.unsigned_abs());
        Some(Promise { age, is_kept: self.is_promise_kept? })
    }
}

async fn store(connection: &mut PgConnection) -> sqlx::Result<Store> {
    let rows: Vec<FreshnessRow> = sqlx::query_as(
        "select resource, max(last_fetched_at) as last_fetched_at,
                max(last_loaded_at) as last_loaded_at,
                max(last_changed_at) as last_changed_at,
                case when bool_and(complete_at is not null) then min(complete_at) end as complete_at,
                case when bool_and(complete_to is not null) and max(complete_from) < min(complete_to)
                    then max(complete_from) end as complete_from,
                case when bool_and(complete_to is not null) and max(complete_from) < min(complete_to)
                    then min(complete_to) end as complete_to,
                -- What views of earlier releases do not have.
                extract(epoch from max((to_jsonb(freshness)->>'promised_age')::interval))::bigint
                    as promised_seconds,
                bool_and((to_jsonb(freshness)->>'is_promise_kept')::boolean) as is_promise_kept
         from staging.stg_toggl_track__freshness freshness group by resource",
    )
    .fetch_all(&mut *connection)
    .await?;
    let time = |time: Option<SqlTimestamp>| time.map(SqlTimestamp::to_jiff);
    let freshness = rows.into_iter().map(|row| {
        let promise = row.promise();
        let freshness = Freshness {
            promise,
            last_fetch: time(row.last_fetched_at),
            last_load: time(row.last_loaded_at),
            last_change: time(row.last_changed_at),
            complete: time(row.complete_at),
            complete_from: time(row.complete_from),
            complete_to: time(row.complete_to),
        };
        (row.resource, freshness)
    });
    let freshness = freshness.collect();
    let dead_letters: Vec<(String, i64)> = sqlx::query_as(
        "select resource, count(*) from raw.toggl_track__dead_letters group by resource",
    )
    .fetch_all(&mut *connection)
    .await?;
    let dead_letters = dead_letters.into_iter().collect();
    let gone = gone(connection).await?;
    let clocks_ahead = clocks_ahead(connection).await?;
    let missing = missing(connection).await?;
    Ok(Store { missing, freshness, dead_letters, gone, clocks_ahead })
}

async fn missing(connection: &mut PgConnection) -> sqlx::Result<Vec<&'static str>> {
    let tables: Vec<String> = CATALOGUE.iter().map(shared::resource::Resource::table).collect();
    let there: Vec<bool> = sqlx::query_scalar(
        "select to_regclass('raw.' || name) is not null
         from unnest($1::text[]) with ordinality as tables (name, place) order by place",
    )
    .bind(tables)
    .fetch_all(connection)
    .await?;
    let missing = CATALOGUE.iter().zip(there).filter(|(_, there)| !there);
    Ok(missing.map(|(resource, _)| resource.name).collect())
}

#[derive(Debug, FromRow)]
struct CountRow {
    place: i32,
    live: i64,
    deleted: i64,
}

async fn count(connection: &mut PgConnection, missing: &[&str]) -> sqlx::Result<Counts> {
    let (at, started) = (Timestamp::now(), Instant::now());
    let selects: Vec<String> = CATALOGUE
        .iter()
        .enumerate()
        .filter(|(_, resource)| !missing.contains(&resource.name))
        .map(|(place, resource)| {
            format!(
                "select {place} as place, count(*) filter (where deleted_at is null) as live,
                        count(deleted_at) as deleted
                 from raw.{}",
                resource.table()
            )
        })
        .collect();
    if selects.is_empty() {
        return Ok(Counts { at, took: Duration::ZERO, rows: BTreeMap::new(), people: Vec::new() });
    }
    let sql = selects.join(" union all ");
    let counted: Vec<CountRow> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
    let rows = counted.into_iter().filter_map(|row| {
        let resource = CATALOGUE.get(usize::try_from(row.place).ok()?)?;
        Some((resource.name, Rows { live: row.live, deleted: row.deleted }))
    });
    let people = people(connection).await?;
    Ok(Counts { at, took: started.elapsed(), rows: rows.collect(), people })
}
