//! A batch that is applied in pieces does what it does in one.

use std::collections::BTreeSet;

use loader::apply::{Applied, Options, Origin, apply, apply_in_pieces};
use shared::batch::{Batch, Record, ZSTD};
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{Executor as _, PgConnection};
use tests::rows::{ledger, raw_rows, snapshot};
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::{named, poison};
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, record};
use crate::given::flow::prepared;

struct Pieces {
    _world: World,
    connection: PgConnection,
    sequence: i64,
}

impl Pieces {
    async fn start() -> Self {
        let world = prepared(World::start(Account::empty()).await.unwrap()).await;
        let connection = world.connect().await.unwrap();
        Self { _world: world, connection, sequence: 0 }
    }

    /// A listing of one batch, in pieces of so many records, or in one.
    async fn load(&mut self, batches: &[Batch], most: Option<usize>) -> Applied {
        let [batch] = batches else { panic!("{} batches", batches.len()) };
        let resource = batch.known_resource().unwrap();
        self.sequence += 1;
        let origin = Origin {
            subject: resource.subject(),
            stream_sequence: self.sequence,
            published_at: moment(self.sequence),
            promised_age: None,
        };
        let (connection, options) = (&mut self.connection, Options::default());
        let applied = match most {
            Some(most) => {
                apply_in_pieces(connection, resource, batch, &origin, options, most).await
            }
            None => apply(connection, resource, batch, &origin, options).await,
        };
        applied.unwrap()
    }

    async fn live(&mut self, resource: &Resource) -> BTreeSet<i64> {
        let rows = raw_rows(&mut self.connection, resource).await.unwrap();
        rows.iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, _)| *id).collect()
    }

    async fn last_ledger(&mut self, resource: &Resource) -> [i64; 6] {
        *ledger(&mut self.connection, resource.name).await.unwrap().last().unwrap()
    }
}

#[tokio::test]
async fn a_claim_that_would_delete_most_rows_is_not_believed_in_pieces_either() {
    let mut pieces = Pieces::start().await;
    let tags = resource("tags");
    pieces.load(&listing(tags, 10, named(tags, 1..=30, "one")), None).await;
    // Of fewer than twenty each, which alone would be believed.
    let few = listing(tags, 20, named(tags, (1..=30).filter(|id| id % 7 < 3), "one"));
    let applied = pieces.load(&few, Some(3)).await;
    let refused = applied.refused.unwrap();
    assert_eq!((refused.covered, refused.missing), (30, 16));
    assert_eq!(pieces.live(tags).await, (1..=30).collect());
    assert_eq!(pieces.last_ledger(tags).await, [14, 0, 14, 0, 0, 0]);
    let sql = "select payload from raw.toggl_track__dead_letters where kind = 'claim'";
    let kept: Vec<u8> = sqlx::query_scalar(sql).fetch_one(&mut pieces.connection).await.unwrap();
    assert_eq!([Batch::decode(&kept, Some(ZSTD)).unwrap()], *few, "whole, and once");
    let claims = snapshot(&mut pieces.connection, "toggl_track__claims").await.unwrap();
    assert_eq!(claims.len(), 1, "only that of the first listing: {claims:?}");
}

#[tokio::test]
async fn a_refused_claim_stays_refused_when_its_first_pieces_bring_new_rows() {
    let mut pieces = Pieces::start().await;
    let tags = resource("tags");
    pieces.load(&listing(tags, 10, named(tags, 1..=30, "one")), None).await;
    let other = listing(tags, 20, named(tags, -60..=0, "one"));
    assert!(pieces.load(&other, Some(10)).await.refused.is_some());
    assert_eq!(pieces.live(tags).await, (-60..=30).collect());
}

#[tokio::test]
async fn a_claim_that_is_believed_is_so_for_a_piece_in_which_most_rows_are_gone() {
    let mut pieces = Pieces::start().await;
    let tags = resource("tags");
    pieces.load(&listing(tags, 10, named(tags, 1..=60, "one")), None).await;
    let applied = pieces.load(&listing(tags, 20, named(tags, 27..=60, "one")), Some(1)).await;
    assert_eq!((applied.deleted, applied.refused), (26, None));
    assert_eq!(pieces.live(tags).await, (27..=60).collect());
    assert_eq!(pieces.last_ledger(tags).await, [34, 0, 34, 0, 26, 0]);
    let sql = "select range_agg(ids) = '{(,)}' and count(distinct fetched_at) = 1
               from raw.toggl_track__claims";
    let whole: bool = sqlx::query_scalar(sql).fetch_one(&mut pieces.connection).await.unwrap();
    assert!(whole, "together they claim what the batch claims");
}

#[tokio::test]
async fn dead_letters_of_every_piece_are_those_of_the_batch() {
    let mut pieces = Pieces::start().await;
    let tags = resource("tags");
    let refuse = "alter table raw.toggl_track__tags
                  add constraint refuse check (data->>'name' not like 'poison%')";
    pieces.connection.execute(refuse).await.unwrap();
    let bad = [1, 11, 21, 22, 40];
    let mut records: Vec<Record> = named(tags, 1..=40, "one");
    for id in bad {
        records[usize::try_from(id).unwrap() - 1] = poison(tags, [id]).remove(0);
    }
    records[32].data = bytes::Bytes::from_static(b"\xff");
    let batch = listing(tags, 10, records);
    let applied = pieces.load(&batch, Some(10)).await;
    assert_eq!((applied.written, applied.dead), (34, 6));
    assert_eq!(pieces.last_ledger(tags).await, [40, 34, 0, 0, 0, 6]);
    let sql = "select record_index, source_id, batch from raw.toggl_track__dead_letters order by 1";
    let kept: Vec<(i32, i64, Vec<u8>)> =
        sqlx::query_as(sql).fetch_all(&mut pieces.connection).await.unwrap();
    let places: Vec<_> = kept.iter().map(|(index, id, _)| (*index, *id)).collect();
    assert_eq!(places, [(0, 1), (10, 11), (20, 21), (21, 22), (32, 33), (39, 40)]);
    for (_, id, alone) in &kept {
        assert_eq!(Batch::decode(alone, Some(ZSTD)).unwrap().records[0].source_id, *id);
    }
}

#[tokio::test]
async fn entries_that_moved_from_piece_to_piece_are_where_the_listing_has_them() {
    let mut pieces = Pieces::start().await;
    let entries = resource("time_entries");
    let span = || Span::Starts { from: moment(0), to: moment(100_000), user_id: Some(USER) };
    let old: Vec<Record> = (1..=20).map(|id| record(entries, id, 5, "one")).collect();
    pieces.load(&cut(entries, 10, span(), old.clone()), None).await;
    // From the ends to the middle and back, without a newer `at`; two of them are gone.
    let mut moved = old;
    moved[0].started_at = Some(moment(1_050));
    moved[19].started_at = Some(moment(1_051));
    moved[9].started_at = Some(moment(1));
    moved[10].started_at = Some(moment(99_999));
    moved.retain(|record| ![3, 15].contains(&record.source_id));
    let batch = cut(entries, 20, span(), moved.clone());
    pieces.load(&batch, Some(3)).await;
    let kept: BTreeSet<i64> = (1..=20).filter(|id| ![3, 15].contains(id)).collect();
    assert_eq!(pieces.live(entries).await, kept);
    let sql = "select source_id, (extract(epoch from started_at) * 1000000)::bigint
               from raw.toggl_track__time_entries where deleted_at is null order by 1";
    let stored: Vec<(i64, i64)> =
        sqlx::query_as(sql).fetch_all(&mut pieces.connection).await.unwrap();
    let listed = moved.iter().map(|record| (record.source_id, record.started_at));
    let listed = listed.map(|(id, start)| (id, start.unwrap().as_microsecond()));
    assert_eq!(stored, listed.collect::<Vec<_>>());
    let before = snapshot(&mut pieces.connection, &entries.table()).await.unwrap();
    let ledger_before = snapshot(&mut pieces.connection, "toggl_track__loads").await.unwrap();
    pieces.load(&batch, Some(4)).await;
    pieces.load(&batch, None).await;
    assert_eq!(snapshot(&mut pieces.connection, &entries.table()).await.unwrap(), before);
    let ledger_after = snapshot(&mut pieces.connection, "toggl_track__loads").await.unwrap();
    assert_eq!(ledger_after, ledger_before);
}
