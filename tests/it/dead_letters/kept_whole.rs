//! What cannot be loaded is kept with its bytes and a reason, and holds up nothing else; what looks
//! like a changed shape or a mass deletion is kept whole.

use std::collections::BTreeSet;

use anyhow::anyhow;
use async_nats::jetstream::Context;
use bytes::Bytes;
use shared::batch::{Batch, Record, ZSTD};
use shared::listing::Span;
use shared::resource::Resource;
use shared::stream::STREAM;
use sqlx::{Executor as _, FromRow, PgConnection};
use tests::rows::{count, ledger, raw_rows, snapshot};
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, publish, publish_raw, record};

/// A loader that waits for what the tests publish.
struct Running {
    world: World,
    loader: Resident,
    context: Context,
    connection: PgConnection,
}

#[derive(Debug, FromRow)]
struct DeadLetter {
    subject: String,
    record_index: Option<i32>,
    source_id: Option<i64>,
    reason: String,
    sqlstate: Option<String>,
    payload: Vec<u8>,
    encoding: Option<String>,
    batch: Option<Vec<u8>>,
}

impl Running {
    async fn start() -> Self {
        let world = World::start(Account::empty()).await.unwrap();
        let loader = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        let context = world.jetstream().await.unwrap();
        let connection = world.connect().await.unwrap();
        Self { world, loader, context, connection }
    }

    async fn load(&self, batches: &[Batch]) {
        publish(&self.context, batches).await;
        self.loaded().await;
    }

    /// Everything is settled, so that nothing is left to be delivered again.
    async fn loaded(&self) {
        let loaded = tokio::select! {
            loaded = self.world.loaded() => loaded,
            Ok(()) = self.loader.logged("is not loaded: ", DEADLINE) => Err(anyhow!("it is in trouble")),
        };
        loaded.unwrap_or_else(|error| panic!("{error:#}\n{}", self.loader.log()));
    }

    async fn dead_letters(&mut self) -> Vec<DeadLetter> {
        let sql = "table raw.toggl_track__dead_letters order by stream_sequence, source_id";
        sqlx::query_as(sql).fetch_all(&mut self.connection).await.unwrap()
    }

    /// Of the last run: received, written, unchanged, stale, deleted, dead.
    async fn last_ledger(&mut self, resource: &Resource) -> [i64; 6] {
        *ledger(&mut self.connection, resource.name).await.unwrap().last().unwrap()
    }

    async fn live(&mut self, resource: &Resource) -> BTreeSet<i64> {
        let rows = raw_rows(&mut self.connection, resource).await.unwrap();
        rows.iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| *id).collect()
    }

    /// The table is in trouble, with an error that names it, and nothing came of its batch; the others
    /// load on.
    async fn assert_only_this_one_waits(&mut self, waiting: &Resource) {
        let message = format!("ERROR [raw-client] raw.{} is not loaded:", waiting.table());
        self.loader.logged(&message, DEADLINE).await.unwrap();
        assert!(ledger(&mut self.connection, waiting.name).await.unwrap().is_empty());
        assert_eq!(self.dead_letters().await.len(), 0);

        let other = resource("clients");
        publish(&self.context, &listing(other, 20, vec![record(other, 1, 5, "one")])).await;
        self.loader.logged("records to raw.toggl_track__clients", DEADLINE).await.unwrap();
        assert_eq!(self.live(other).await, BTreeSet::from([1]));
        assert_eq!(self.loader.exit_code(), None, "it goes on");
    }
}

fn error_lines(loader: &Resident) -> Vec<String> {
    loader.log().lines().filter(|line| line.contains("ERROR")).map(Into::into).collect()
}

fn good(resource: &Resource, ids: impl IntoIterator<Item = i64>) -> Vec<Record> {
    ids.into_iter().map(|id| record(resource, id, 5, &format!("good {id}"))).collect()
}

/// JSON that Postgres refuses.
fn bad(resource: &Resource, id: i64) -> Record {
    let data = Bytes::from(format!(r#"{{"id":{id}, "name":"be\u0000fore",  "wid":1.50}}"#));
    Record { data, ..record(resource, id, 5, "") }
}

/// So many records, the first of them bad.
fn partly_bad(resource: &'static Resource, records: i64, bad_ones: i64) -> Vec<Batch> {
    let mut mixed = good(resource, bad_ones + 1..=records);
    mixed.extend((1..=bad_ones).map(|id| bad(resource, id)));
    cut(resource, 10, Span::Partial, mixed)
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_is_kept_whole_and_never_delivered_again() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let batch = cut(tags, 10, Span::Partial, good(tags, [1])).remove(0);
    let payload = batch.encode().unwrap();
    let newer = Batch { version: 2, ..batch.clone() }.encode().unwrap();
    let unknown = Batch { resource: "unicorns".to_owned(), ..batch }.encode().unwrap();
    let garbage = Bytes::from_static(b"\xff\x00garb\x01age\n");
    let cases: [(Option<&str>, Bytes, &str); 8] = [
        (None, garbage.clone(), "not a MessagePack batch"),
        (Some(ZSTD), garbage, "damaged zstd frame"),
        (Some(ZSTD), payload.slice(..payload.len() / 2), "damaged zstd frame"),
        (Some(ZSTD), newer, "batch version 2 is not known"),
        (Some("br"), payload.clone(), "unknown content encoding \"br\""),
        (None, payload, "not a MessagePack batch"),
        (Some(ZSTD), unknown, "resource \"unicorns\" is not in the catalogue"),
        (None, Bytes::new(), "not a MessagePack batch"),
    ];
    for (encoding, payload, _) in &cases {
        publish_raw(&running.context, tags.subject(), *encoding, payload.clone()).await;
    }
    running.load(&listing(tags, 20, good(tags, [7]))).await;

    assert_eq!(running.live(tags).await, BTreeSet::from([7]));
    let letters = running.dead_letters().await;
    assert_eq!(letters.len(), cases.len(), "{letters:#?}");
    for (letter, (encoding, payload, reason)) in letters.iter().zip(&cases) {
        assert_eq!(letter.payload, *payload, "{letter:?}");
        assert_eq!(letter.encoding.as_deref(), *encoding, "{letter:?}");
        assert!(letter.reason.starts_with(reason), "{letter:?}");
        assert_eq!(letter.subject, "toggl_track.raw.tags");
        assert_eq!((letter.record_index, letter.source_id), (None, None), "{letter:?}");
    }
    assert_eq!(error_lines(&running.loader).len(), cases.len(), "{}", running.loader.log());
    assert_eq!(running.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_message_whose_reason_or_header_postgres_cannot_hold_as_text_is_kept_too() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    // A MessagePack map of a version and a coverage that nobody knows, which the reason repeats.
    let named = Bytes::from_static(b"\x82\xa7version\x01\xa8coverage\xa3x\0y");
    publish_raw(&running.context, tags.subject(), None, named.clone()).await;
    publish_raw(&running.context, tags.subject(), Some("x\0y"), Bytes::from_static(b"z")).await;
    running.load(&listing(tags, 20, good(tags, [7]))).await;

    let kept: BTreeSet<_> = running.dead_letters().await.into_iter().map(|l| l.payload).collect();
    assert_eq!(kept, BTreeSet::from([named.to_vec(), b"z".to_vec()]));
    assert_eq!(running.live(tags).await, BTreeSet::from([7]));
}

#[tokio::test]
async fn one_bad_record_among_a_thousand_is_kept_and_its_neighbours_are_loaded() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let mut records = good(tags, (1..=1_000).filter(|id| *id != 437));
    let spoilt = bad(tags, 437);
    records.push(spoilt.clone());
    let batches = listing(tags, 10, records);
    assert_eq!(batches.len(), 1);
    running.load(&batches).await;

    let live = running.live(tags).await;
    assert_eq!(live, (1..=1_000).filter(|id| *id != 437).collect());
    assert_eq!(running.last_ledger(tags).await, [1_000, 999, 0, 0, 0, 1]);
    let [letter] = <[_; 1]>::try_from(running.dead_letters().await).unwrap();
    assert_eq!(letter.payload, spoilt.data, "the record's bytes as they came");
    assert_eq!(letter.sqlstate.as_deref(), Some("22P05"), "{letter:?}");
    assert_eq!((letter.source_id, letter.record_index), (Some(437), Some(436)));
    let alone = Batch::decode(&letter.batch.unwrap(), Some(ZSTD)).unwrap();
    assert_eq!(alone.records, [spoilt], "ready to be applied again");

    // Delivered again: a consumer that is made anew begins at the first message.
    let rows = snapshot(&mut running.connection, &tags.table()).await.unwrap();
    let stream = running.context.get_stream(STREAM).await.unwrap();
    stream.delete_consumer(&tags.consumer()).await.unwrap();
    running.loaded().await;
    assert_eq!(running.dead_letters().await.len(), 1);
    assert_eq!(running.last_ledger(tags).await, [1_000, 999, 0, 0, 0, 1]);
    assert_eq!(snapshot(&mut running.connection, &tags.table()).await.unwrap(), rows);
}

#[tokio::test]
async fn a_record_whose_time_postgres_cannot_hold_is_kept_and_its_neighbours_are_loaded() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let mut records = good(tags, [1, 2, 3, 4]);
    for early in &mut records[1..3] {
        early.modified_at = Some("-009000-01-01T00:00:00Z".parse().unwrap());
    }
    running.load(&cut(tags, 10, Span::Partial, records)).await;
    assert_eq!(running.live(tags).await, BTreeSet::from([1, 4]));
    let dead: Vec<_> = running.dead_letters().await.iter().map(|l| l.source_id).collect();
    assert_eq!(dead, [Some(2), Some(3)]);
}

#[tokio::test]
async fn as_many_as_fifty_bad_records_or_a_tenth_of_a_batch_are_kept_one_by_one() {
    let mut running = Running::start().await;
    for (name, records, bad_ones) in [("tags", 60, 50), ("groups", 510, 51)] {
        let resource = resource(name);
        running.load(&partly_bad(resource, records, bad_ones)).await;
        assert_eq!(running.live(resource).await, (bad_ones + 1..=records).collect(), "{name}");
        assert_eq!(running.last_ledger(resource).await[5], bad_ones, "{name}");
    }
    assert_eq!(running.dead_letters().await.len(), 101);
    assert_eq!(running.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn more_than_fifty_and_a_tenth_bad_records_are_kept_with_their_whole_batch() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    let batches = partly_bad(tags, 509, 51);
    running.load(&batches).await;
    assert!(running.live(tags).await.is_empty(), "no row of the batch is stored");
    assert_eq!(running.last_ledger(tags).await, [509, 0, 0, 0, 0, 509]);
    let [letter] = <[_; 1]>::try_from(running.dead_letters().await).unwrap();
    let reason = "at least 51 of 509 records are refused, the first because: ";
    assert!(letter.reason.starts_with(reason), "{letter:?}");
    let kept = Batch::decode(&letter.payload, letter.encoding.as_deref()).unwrap();
    assert_eq!([kept], *batches);
    assert_eq!((letter.record_index, letter.source_id), (None, None));
    let [error] = <[_; 1]>::try_from(error_lines(&running.loader)).unwrap();
    assert!(error.contains(reason) && error.contains(&tags.table()), "{error}");
    assert_eq!(running.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_dropped_table_waits_and_is_loaded_whole_once_it_is_there_again() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    running.connection.execute("drop table raw.toggl_track__tags cascade").await.unwrap();
    for ids in [1..=10, 11..=20, 21..=30] {
        publish(&running.context, &cut(tags, 10, Span::Partial, good(tags, ids))).await;
    }
    running.assert_only_this_one_waits(tags).await;

    let again = "create table raw.toggl_track__tags (like raw.toggl_track__groups including all)";
    running.connection.execute(again).await.unwrap();
    running.world.loaded_by(&running.loader).await.unwrap();
    assert_eq!(running.live(tags).await, (1..=30).collect());
    assert_eq!(running.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_listing_without_more_than_half_of_twenty_rows_is_not_believed() {
    let mut running = Running::start().await;
    let tags = resource("tags");
    running.load(&listing(tags, 10, good(tags, 1..=20))).await;
    let tiny = listing(tags, 20, good(tags, 12..=20));
    running.load(&tiny).await;

    assert_eq!(running.live(tags).await, (1..=20).collect());
    let [letter] = <[_; 1]>::try_from(running.dead_letters().await).unwrap();
    assert!(letter.reason.starts_with("mass delete"), "{letter:?}");
    let kept = Batch::decode(&letter.payload, letter.encoding.as_deref()).unwrap();
    assert_eq!([kept], *tiny, "the whole listing is kept");
    let [error] = <[_; 1]>::try_from(error_lines(&running.loader)).unwrap();
    assert!(error.contains("mass delete") && error.contains(&tags.table()), "{error}");
    assert_eq!(running.last_ledger(tags).await, [9, 0, 9, 0, 0, 0]);
    assert_eq!(running.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_believable_listing_marks_exactly_what_it_lacks_and_a_row_that_comes_back_is_live() {
    let mut running = Running::start().await;
    for (name, rows) in [("tags", 20), ("users", 30), ("groups", 2)] {
        let resource = resource(name);
        running.load(&listing(resource, 10, good(resource, 1..=rows))).await;
        running.load(&listing(resource, 20, good(resource, rows / 2 + 1..=rows))).await;
        assert_eq!(running.live(resource).await, (rows / 2 + 1..=rows).collect(), "{name}");
        let kept = count(&mut running.connection, resource).await.unwrap();
        assert_eq!(kept, rows, "{name}: marked, not removed");
        assert_eq!(running.last_ledger(resource).await, [rows / 2, 0, rows / 2, 0, rows / 2, 0]);
        running.load(&listing(resource, 30, good(resource, 1..=rows))).await;
        assert_eq!(running.live(resource).await, (1..=rows).collect(), "{name}");
    }
    assert_eq!(running.dead_letters().await.len(), 0);
}
