//! Every change of a raw row is told once, by the versions that are kept, and nothing else is.

use bytes::Bytes;
use loader::apply::History;
use loader::apply::{Applied, Options, Origin, apply};
use shared::batch::{Batch, Record};
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::{AssertSqlSafe, PgConnection};
use tests::rows::{raw_rows, snapshot, unrecorded};
use tests::sessions::waiting_sessions;

use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, record};
use crate::tables::catalogue::migrated;

/// A migrated database, into which batches go as loaders apply them.
pub(crate) struct Applying {
    pub(crate) connection: PgConnection,
    pub(crate) options: Options,
}

impl Applying {
    pub(crate) async fn start() -> Self {
        Self { connection: migrated().await, options: Options::default() }
    }

    pub(crate) async fn apply(&mut self, batches: &[Batch]) {
        for batch in batches {
            apply_with(&mut self.connection, batch, self.options).await;
        }
    }

    /// The changes on record, as `1 created A @10`: the id, the kind, the name in the data and the
    /// second of fetching.
    pub(crate) async fn changes(&mut self, resource: &Resource) -> Vec<String> {
        changes(&mut self.connection, resource).await
    }

    pub(crate) async fn assert_all_recorded(&mut self, resource: &Resource) {
        let unrecorded = unrecorded(&mut self.connection, resource, 0..=i64::MAX).await.unwrap();
        assert_eq!(unrecorded, Vec::<String>::new(), "{}", resource.name);
    }
}

async fn apply_with(connection: &mut PgConnection, batch: &Batch, options: Options) -> Applied {
    let resource = batch.known_resource().unwrap();
    let origin = Origin {
        subject: resource.subject(),
        stream_sequence: 1,
        published_at: jiff::Timestamp::UNIX_EPOCH,
        promised_age: None,
    };
    apply(connection, resource, batch, &origin, options).await.unwrap()
}

pub(crate) async fn changes(connection: &mut PgConnection, resource: &Resource) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s %s %s @%s', source_id, kind, data->>'name',
                       extract(epoch from fetched_at)::bigint - $2)
         from raw.toggl_track__changes where resource = $1 order by fetched_at, source_id",
    )
    .bind(resource.name)
    .bind(moment(0).as_second())
    .fetch_all(connection)
    .await
    .unwrap()
}

/// A record with a further field in its JSON.
pub(crate) fn with_field(record: &Record, field: &str, value: i64) -> Record {
    let text = String::from_utf8(record.data.to_vec()).unwrap();
    let data = Bytes::from(text.replacen('{', &format!(r#"{{"{field}":{value},"#), 1));
    Record { data, ..record.clone() }
}

/// A listing in which the record is no longer there, or says so itself where listings claim nothing.
fn gone(resource: &'static Resource, fetched_at: i64, last: &Record) -> Vec<Batch> {
    let deleted = Record { deleted_at: Some(moment(fetched_at - 1)), ..last.clone() };
    let records = if resource.claim.is_by_listing() { Vec::new() } else { vec![deleted] };
    listing(resource, fetched_at, records)
}

#[tokio::test]
async fn each_kind_of_change_is_recorded_once_in_every_table() {
    let mut applying = Applying::start().await;
    for resource in CATALOGUE {
        let one = |at, name| record(resource, 1, at, name);
        let back = listing(resource, 50, vec![one(45, "B")]);
        for batches in [
            listing(resource, 10, vec![one(5, "A")]),
            listing(resource, 20, vec![one(5, "A")]),
            listing(resource, 30, vec![one(25, "B")]),
            listing(resource, 22, vec![one(21, "late")]),
            gone(resource, 40, &one(25, "B")),
            gone(resource, 42, &one(25, "B")),
            back,
        ] {
            applying.apply(&batches).await;
        }
        let recorded =
            ["1 created A @10", "1 updated B @30", "1 deleted B @40", "1 restored B @50"];
        // Toggl's own word counts for since when it is deleted.
        let gone = if resource.claim.is_by_listing() { "@40" } else { "@39" };
        let recorded = recorded.map(|change| change.replace("@40", gone));
        assert_eq!(applying.changes(resource).await, recorded, "{}", resource.name);
        let sql = format!(
            "select h.data->>'name' = 'B' and h.valid_to - h.valid_from = make_interval(secs => $2)
                 and h.is_deleted and (h.modified_at is null) = (t.modified_at is null)
                 and h.workspace_id = t.workspace_id and h.recorded_at = t.synced_at
             from raw.toggl_track__history h join raw.{} t using (source_id)
             where resource = $1 order by h.valid_from desc limit 1",
            resource.table()
        );
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(resource.name);
        let gone = if resource.claim.is_by_listing() { 10.0_f64 } else { 9.0 };
        let query = query.bind(gone);
        let same: bool = query.fetch_one(&mut applying.connection).await.unwrap();
        assert!(same, "the columns of {}", resource.name);
    }
}

#[tokio::test]
async fn what_a_listing_lacks_is_recorded_unless_the_listing_is_not_believed() {
    let mut applying = Applying::start().await;
    let tags = resource("tags");
    let some =
        |ids: std::ops::RangeInclusive<i64>| ids.map(|id| record(tags, id, 5, "A")).collect();
    applying.apply(&listing(tags, 10, some(1..=30))).await;
    applying.apply(&listing(tags, 20, some(1..=28))).await;
    let deleted = ["29 deleted A @20", "30 deleted A @20"];
    let mut changes = applying.changes(tags).await.split_off(30);
    changes.sort();
    assert_eq!(changes, deleted);

    applying.apply(&listing(tags, 30, some(1..=5))).await;
    assert_eq!(applying.changes(tags).await.len(), 32, "a refused claim deletes nothing");
    applying.options.allow_mass_delete = true;
    applying.apply(&listing(tags, 31, some(1..=5))).await;
    assert_eq!(applying.changes(tags).await.len(), 32 + 23);
    applying.assert_all_recorded(tags).await;
}

#[tokio::test]
async fn what_moves_without_meaning_anything_is_stored_and_not_recorded() {
    let mut applying = Applying::start().await;
    let mut fields = 0;
    for resource in CATALOGUE {
        for (id, field) in (1..).zip(resource.volatile_fields) {
            fields += 1;
            let one = |at, name, value| with_field(&record(resource, id, at, name), field, value);
            let feed = |fetched, record| cut(resource, fetched, Span::Partial, vec![record]);
            applying.apply(&feed(10, record(resource, id, 5, "A"))).await;
            applying.apply(&feed(20, one(5, "A", 1))).await;
            applying.apply(&feed(30, one(5, "A", 2))).await;
            let rows = raw_rows(&mut applying.connection, resource).await.unwrap();
            assert_eq!(rows[&id].data[*field], 2, "{}.{field} is stored", resource.name);
            applying.apply(&feed(40, one(35, "B", 3))).await;
            let gone = Record { deleted_at: Some(moment(49)), ..one(35, "B", 4) };
            applying.apply(&feed(50, gone.clone())).await;
            let gone_again = Record { data: one(35, "B", 5).data, ..gone };
            applying.apply(&feed(55, gone_again)).await;
            applying.apply(&feed(60, one(35, "B", 6))).await;
            let recorded = ["created A @10", "updated B @40", "deleted B @49", "restored B @60"];
            let recorded = recorded.map(|change| format!("{id} {change}"));
            let mut changes = applying.changes(resource).await;
            changes.retain(|change| change.starts_with(&format!("{id} ")));
            assert_eq!(changes, recorded, "{}.{field}", resource.name);
        }
        applying.assert_all_recorded(resource).await;
    }
    assert!(fields >= 9, "{fields}");
    // What is volatile in one resource need not be in another.
    let groups = resource("groups");
    for (second, count) in [(10, 1), (20, 2)] {
        let group = with_field(&record(groups, 1, 5, "A"), "actual_seconds", count);
        applying.apply(&listing(groups, second, vec![group])).await;
    }
    assert_eq!(applying.changes(groups).await, ["1 created A @10", "1 updated A @20"]);
}

#[tokio::test]
async fn the_same_json_in_another_form_is_no_change() {
    let mut applying = Applying::start().await;
    let tags = resource("tags");
    let one = record(tags, 1, 5, "A");
    let text = String::from_utf8(one.data.to_vec()).unwrap();
    let spaced = Record { data: Bytes::from(text.replace(',', " , ")), ..one.clone() };
    applying.apply(&listing(tags, 10, vec![one])).await;
    applying.apply(&listing(tags, 20, vec![spaced])).await;
    assert_eq!(applying.changes(tags).await, ["1 created A @10"]);
}

#[tokio::test]
async fn batches_that_come_again_record_nothing() {
    let mut applying = Applying::start().await;
    for resource in CATALOGUE {
        let named = |id, name| record(resource, id, 5, name);
        let batches = [
            listing(resource, 10, vec![named(1, "A"), named(2, "A"), named(3, "A")]),
            listing(resource, 20, vec![named(1, "B"), named(2, "A")]),
            cut(resource, 30, Span::Partial, vec![named(2, "C"), named(4, "A")]),
            listing(resource, 40, vec![named(1, "B"), named(3, "D"), named(4, "A")]),
        ]
        .concat();
        applying.apply(&batches).await;
        let before = snapshot(&mut applying.connection, "toggl_track__history").await.unwrap();
        applying.apply(&batches).await;
        applying.apply(&batches.iter().rev().cloned().collect::<Vec<_>>()).await;
        let after = snapshot(&mut applying.connection, "toggl_track__history").await.unwrap();
        assert_eq!(before, after, "{}", resource.name);
        applying.assert_all_recorded(resource).await;
    }
}

/// Two workspaces' batches hold different locks; a row of both is held by whoever writes it first.
#[tokio::test]
async fn a_change_that_had_to_wait_is_compared_with_what_it_waited_for() {
    let mut applying = Applying::start().await;
    let tags = resource("tags");
    let counted = |at, name, count| with_field(&record(tags, 1, at, name), "total_count", count);
    applying.apply(&cut(tags, 10, Span::Partial, vec![counted(5, "A", 1)])).await;

    let database: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut applying.connection)
        .await
        .unwrap();
    let postgres = tests::servers::shared_postgres().await.unwrap();
    let mut other = postgres.connect(&database).await.unwrap();
    let change = "begin;
         update raw.toggl_track__tags set data = jsonb_set(data, '{name}', '\"B\"');";
    sqlx::raw_sql(change).execute(&mut other).await.unwrap();
    // It was A when this statement began, and is A again but for a count.
    let back = cut(tags, 20, Span::Partial, vec![counted(5, "A", 2)]);
    let waiting = applying.apply(&back);
    let release = async {
        let mut watcher = postgres.connect(&database).await.unwrap();
        waiting_sessions(&mut watcher, 1).await.unwrap();
        sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    };
    tokio::join!(waiting, release);

    assert_eq!(applying.changes(tags).await, ["1 created B @10", "1 updated A @20"]);
}

#[tokio::test]
async fn two_loaders_with_the_same_rows_in_hand_record_every_write() {
    let mut applying = Applying::start().await;
    let database: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut applying.connection)
        .await
        .unwrap();
    let postgres = tests::servers::shared_postgres().await.unwrap();
    let tags = resource("tags");
    let side = async |side: i64| {
        let mut connection = postgres.connect(&database).await.unwrap();
        let mut written = 0;
        for round in 1..=40 {
            let name = format!("{side} in {round}");
            let rows = |id| record(tags, id, round * 2 + side, &name);
            let records = (1..=20).map(rows).collect();
            let mut batch = cut(tags, round * 2 + side, Span::Partial, records).remove(0);
            batch.workspace_id += side;
            written += apply_with(&mut connection, &batch, Options::default()).await.written;
        }
        written
    };
    let (one, other) = tokio::join!(side(0), side(1));
    assert_eq!(applying.changes(tags).await.len(), one + other);
    applying.assert_all_recorded(tags).await;
}

#[tokio::test]
async fn with_history_off_nothing_is_recorded() {
    let mut applying = Applying::start().await;
    for resource in CATALOGUE {
        let named = |name| vec![record(resource, 1, 5, name), record(resource, 2, 5, "A")];
        applying.options.history = History::Off;
        applying.apply(&listing(resource, 10, named("A"))).await;
        applying.apply(&listing(resource, 20, named("B"))).await;
        applying.apply(&gone(resource, 30, &record(resource, 1, 5, "B"))).await;
        let sql = "select count(*) from raw.toggl_track__history where resource = $1";
        let query = sqlx::query_scalar(sql).bind(resource.name);
        let recorded: i64 = query.fetch_one(&mut applying.connection).await.unwrap();
        assert_eq!(recorded, 0, "{}", resource.name);
        applying.options.history = History::On;
        applying.apply(&listing(resource, 40, named("C"))).await;
        let mut changes = applying.changes(resource).await;
        changes.retain(|change| change.starts_with("1 "));
        let gone = if resource.claim.is_by_listing() { 30 } else { 29 };
        let known = ["1 created B @20", &format!("1 deleted B @{gone}"), "1 restored C @40"];
        assert_eq!(changes, known, "{}", resource.name);
        applying.assert_all_recorded(resource).await;
    }
}
