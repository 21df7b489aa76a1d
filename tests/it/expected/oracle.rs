//! What must hold after every fault: each record that JetStream acknowledged is a row or a dead letter,
//! the tables hold the newest state of what stands in the stream, and every batch stands once in the
//! ledger. The stream itself is read for that, so that a publish whose acknowledgement was lost
//! counts too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::Value;
use shared::batch::{Batch, Coverage, Record};
use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tests::servers::wait_until_ok;
use tests::workers::Resident;
use tests::world::World;
use uuid::Uuid;

use crate::given::flow::loads;

/// Progress resumes within this of a fault's end, also on a machine that is busy with something else.
pub(crate) const RESUME: Duration = Duration::from_mins(3);

/// What has been acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    acknowledged: Vec<Acknowledged>,
}

#[derive(Debug)]
struct Acknowledged {
    resource: &'static str,
    fetched_at: Timestamp,
    source_id: i64,
    modified_at: Option<Timestamp>,
}

/// The newest form of a record.
#[derive(Debug)]
struct Newest {
    modified_at: Option<Timestamp>,
    fetched_at: Timestamp,
    started_at: Option<Timestamp>,
    data: Bytes,
    deleted: bool,
}

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<i64, Newest>,
    starts: BTreeSet<(Timestamp, i64)>,
}

/// Resource, id and fetch of the records that are dead letters.
type DeadLetters = BTreeMap<(String, i64), Timestamp>;

/// Everything that was published is loaded [soon](RESUME), and the oracle holds.
pub(crate) async fn assert_recovers(world: &World, oracle: &Oracle, loaders: &[&Resident]) {
    let logs = || loaders.iter().map(|loader| loader.log()).collect::<Vec<_>>().join("\n---\n");
    let loaded = world.loaded_within(RESUME).await;
    loaded.unwrap_or_else(|error| panic!("{error:#}\n{}", logs()));
    oracle.assert_holds(world).await;
}

/// The same after so much that it takes longer, as long as each such time brings it nearer.
pub(crate) async fn assert_catches_up(world: &World, oracle: &Oracle, loaders: &[&Resident]) {
    let mut before = loads(world).await.unwrap();
    while world.loaded_within(RESUME).await.is_err() {
        let now = loads(world).await.unwrap();
        if now == before {
            break;
        }
        before = now;
    }
    assert_recovers(world, oracle, loaders).await;
}

impl Oracle {
    /// JetStream has acknowledged these.
    pub(crate) fn acknowledge(
        &mut self,
        resource: &Resource,
        fetched_at: Timestamp,
        records: &[Record],
    ) {
        self.acknowledged.extend(records.iter().map(|record| Acknowledged {
            resource: resource.name,
            fetched_at,
            source_id: record.source_id,
            modified_at: record.modified_at,
        }));
    }

    /// How many records that were.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Once nothing is on its way any more.
    pub(crate) async fn assert_holds(&self, world: &World) {
        let batches = batches(world).await;
        let mut connection = world.connect().await.unwrap();
        let dead = dead_letters(&mut connection).await;
        assert_ledger(&mut connection, &batches).await;
        for resource in CATALOGUE {
            let of_it: Vec<_> = batches.iter().filter(|b| b.resource == resource.name).collect();
            let table = fold(resource, &of_it, &dead);
            self.assert_nothing_lost(resource, &table, &dead);
            assert_rows(&mut connection, resource, &table).await;
        }
    }

    fn assert_nothing_lost(&self, resource: &Resource, table: &Table, dead: &DeadLetters) {
        for sent in self.acknowledged.iter().filter(|sent| sent.resource == resource.name) {
            let version = (sent.modified_at, sent.fetched_at);
            let row = table.rows.get(&sent.source_id);
            let stored = row.is_some_and(|row| (row.modified_at, row.fetched_at) >= version);
            let kept = dead
                .get(&(resource.name.to_owned(), sent.source_id))
                .is_some_and(|fetched_at| *fetched_at >= sent.fetched_at);
            assert!(stored || kept, "{sent:?} is lost");
        }
    }
}

/// Everything in the stream. A cluster that has just lost a node may fail any question, so that whoever
/// asks here begins anew.
async fn batches(world: &World) -> Vec<Batch> {
    let stream = world.stream().await.unwrap();
    let read = wait_until_ok("all that the stream holds", RESUME, || read(&stream));
    read.await.unwrap()
}

/// By a consumer that leaves no trace.
async fn read(stream: &Stream) -> anyhow::Result<Vec<Batch>> {
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut left = consumer.cached_info().num_pending;
    let mut batches = Vec::new();
    while left > 0 {
        let messages = consumer.fetch().max_messages(500).messages().await?;
        let messages: Vec<_> = messages.try_collect().await.map_err(anyhow::Error::from_boxed)?;
        left = left.saturating_sub(u64::try_from(messages.len())?);
        for message in messages {
            let encoding = message.headers.as_ref().and_then(|h| h.get("Content-Encoding"));
            let encoding = encoding.map(async_nats::HeaderValue::as_str);
            batches.push(Batch::decode(&message.payload, encoding).unwrap());
        }
    }
    Ok(batches)
}

/// The rules for batches in the order of their fetches, in which they are simple; any other order
/// must lead to the same rows.
fn fold(resource: &Resource, batches: &[&Batch], dead: &DeadLetters) -> Table {
    let mut in_order = batches.to_vec();
    in_order.sort_by_key(|batch| (batch.fetched_at, batch.run_id, batch.part));
    in_order.dedup_by_key(|batch| (batch.run_id, batch.workspace_id, batch.part));
    let mut table = Table::default();
    for batch in in_order {
        table.claim(batch);
        for record in &batch.records {
            let key = (resource.name.to_owned(), record.source_id);
            if dead.get(&key).is_none_or(|at| *at != batch.fetched_at) {
                table.write(batch.fetched_at, record);
            }
        }
    }
    table
}

impl Table {
    fn claim(&mut self, batch: &Batch) {
        let covered: Vec<i64> = match batch.coverage {
            Coverage::Partial => return,
            Coverage::Ids { after, through } => {
                let from = after.map_or(i64::MIN, |after| after + 1);
                self.rows.range(from..=through.unwrap_or(i64::MAX)).map(|(id, _)| *id).collect()
            }
            Coverage::Starts { from, to, .. } => {
                self.starts.range((from, i64::MIN)..(to, i64::MIN)).map(|(_, id)| *id).collect()
            }
        };
        let present: BTreeSet<i64> = batch.records.iter().map(|record| record.source_id).collect();
        for id in covered.iter().filter(|id| !present.contains(id)) {
            if let Some(row) = self.rows.get_mut(id) {
                row.deleted = true;
            }
        }
    }

    fn write(&mut self, fetched_at: Timestamp, record: &Record) {
        let id = record.source_id;
        if let Some(row) = self.rows.get(&id) {
            if record.modified_at < row.modified_at {
                return;
            }
            if let Some(start) = row.started_at {
                self.starts.remove(&(start, id));
            }
        }
        if let Some(start) = record.started_at {
            self.starts.insert((start, id));
        }
        let newest = Newest {
            modified_at: record.modified_at,
            fetched_at,
            started_at: record.started_at,
            data: record.data.clone(),
            deleted: record.deleted_at.is_some(),
        };
        self.rows.insert(id, newest);
    }
}

async fn assert_rows(connection: &mut PgConnection, resource: &Resource, table: &Table) {
    let sql = format!(
        "select source_id, data::text, deleted_at is not null,
                (extract(epoch from modified_at) * 1000000)::bigint
         from raw.{} order by source_id",
        resource.table()
    );
    let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(connection);
    let mut expected = table.rows.iter();
    while let Some(row) = rows.try_next().await.unwrap() {
        let id: i64 = row.get(0);
        let (expected_id, newest) = expected.next().unwrap_or_else(|| panic!("{id} too many"));
        assert_eq!(id, *expected_id, "{}: the ids differ from here on", resource.name);
        let data: Value = serde_json::from_str(row.get(1)).unwrap();
        let wanted: Value = serde_json::from_slice(&newest.data).unwrap();
        assert_eq!(data, wanted, "{} {id}", resource.name);
        assert_eq!(row.get::<bool, _>(2), newest.deleted, "{} {id} deleted", resource.name);
        let modified_at = newest.modified_at.map(Timestamp::as_microsecond);
        assert_eq!(row.get::<Option<i64>, _>(3), modified_at, "{} {id}", resource.name);
    }
    assert_eq!(expected.next().map(|(id, _)| id), None, "{} lacks it", resource.name);
}

async fn dead_letters(connection: &mut PgConnection) -> DeadLetters {
    let sql = "select resource, source_id, (extract(epoch from fetched_at) * 1000000)::bigint
               from raw.toggl_track__dead_letters where source_id is not null";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    let at = |micros| Timestamp::from_microsecond(micros).unwrap();
    rows.into_iter().map(|(name, id, micros)| ((name, id), at(micros))).collect()
}

/// Each batch once.
async fn assert_ledger(connection: &mut PgConnection, batches: &[Batch]) {
    let sql = "select run_id, resource, workspace_id, part from raw.toggl_track__loads";
    let loads: Vec<(Uuid, String, i64, i32)> =
        sqlx::query_as(sql).fetch_all(connection).await.unwrap();
    let key = |batch: &Batch| {
        let part = i32::try_from(batch.part).unwrap();
        (batch.run_id, batch.resource.clone(), batch.workspace_id, part)
    };
    let expected: BTreeSet<_> = batches.iter().map(key).collect();
    assert_eq!(loads.len(), expected.len(), "batches in the ledger");
    let loads: BTreeSet<_> = loads.into_iter().collect();
    assert!(loads == expected, "the ledger holds other batches than the stream");
}
