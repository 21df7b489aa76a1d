//! Values that Postgres refuses, each in a batch of a thousand: row 8 of the fault matrix.

use bytes::Bytes;
use shared::batch::Record;
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::AssertSqlSafe;
use tests::rows::ledger;

use crate::dead_letters::letters::{Letters, named};
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, record};

/// Deeper than Postgres' stack allows by default.
const DEPTH: usize = 20_000;

/// What is wrong, the SQLSTATE that Postgres answers (none where it is never asked), and the bytes.
fn poisons() -> Vec<(&'static str, Option<&'static str>, Bytes)> {
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let texts = [
        ("an escaped NUL", Some("22P05"), r#"{"id":437,"name":"a\u0000b"}"#.to_owned()),
        ("a NUL", Some("22021"), "{\"id\":437,\"name\":\"a\0b\"}".to_owned()),
        ("half a surrogate pair", Some("22P02"), r#"{"id":437,"name":"\ud83d!"}"#.to_owned()),
        ("no JSON", Some("22P02"), r#"{"id":437,"name":}"#.to_owned()),
        ("nothing", Some("22P02"), String::new()),
        ("too large a number", Some("22003"), r#"{"id":437,"rate":1e200000}"#.to_owned()),
        ("too deep nesting", Some("54001"), format!(r#"{{"id":437,"deep":{deep}}}"#)),
    ];
    let texts = texts.map(|(what, state, text)| (what, state, Bytes::from(text)));
    let no_text = Bytes::from_static(b"{\"id\":437,\"name\":\"\xff\xfe\"}");
    texts.into_iter().chain([("no UTF-8", None, no_text)]).collect()
}

/// A thousand, one of which is this.
fn with_one(resource: &Resource, data: Bytes) -> Vec<Record> {
    let mut records = named(resource, (1..=1_000).filter(|id| *id != 437), "good");
    records.insert(436, Record { data, ..record(resource, 437, 5, "") });
    records
}

async fn count(letters: &mut Letters, resource: &Resource) -> i64 {
    let sql = format!("select count(*) from raw.{}", resource.table());
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut letters.connection).await.unwrap()
}

/// Bytes, SQLSTATE, id and place of a dead letter.
type Kept = (Vec<u8>, Option<String>, Option<i64>, Option<i32>);

#[tokio::test]
async fn one_poisoned_record_in_a_thousand_is_kept_byte_for_byte_and_the_others_are_loaded() {
    let mut letters = Letters::start().await;
    let resources = ["tags", "clients", "groups", "projects", "users", "tasks", "workspaces", "me"];
    for (name, (what, sqlstate, data)) in resources.into_iter().zip(poisons()) {
        let resource = resource(name);
        let records = with_one(resource, data.clone());
        let batches = cut(resource, 10, Span::Partial, records.clone());
        assert_eq!(batches.len(), 1, "{what}");
        letters.load(&batches).await;

        assert_eq!(count(&mut letters, resource).await, 999, "{what}");
        let loads = ledger(&mut letters.connection, name).await.unwrap();
        assert_eq!(loads, [[1_000, 999, 0, 0, 0, 1]], "{what}");
        let sql = "select payload, sqlstate, source_id, record_index
                   from raw.toggl_track__dead_letters where resource = $1";
        let kept: Vec<Kept> =
            sqlx::query_as(sql).bind(name).fetch_all(&mut letters.connection).await.unwrap();
        let expected = (data.to_vec(), sqlstate.map(Into::into), Some(437), Some(436));
        assert!(kept == [expected], "{what}: {:?}", kept.iter().map(|k| &k.1).collect::<Vec<_>>());
    }

    // What is wrong in itself stays; what only lacked room in Postgres' stack is stored with more.
    let kept = letters.ids().await;
    letters.run(&["retry", "--all"], 6).await;
    assert_eq!(letters.ids().await, kept);
    let database = letters.world.database.name.clone();
    letters.execute(format!("alter database {database} set max_stack_depth = '7MB'")).await;
    let finished = letters.run(&["retry", "--all"], 6).await;
    assert!(finished.stdout.contains("Applied 1 of 8 dead letters, 7 stay"), "{finished:?}");
    assert_eq!(letters.ids().await.len(), 7);
    assert_eq!(count(&mut letters, resource("workspaces")).await, 1_000);
    assert_eq!(letters.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_batch_that_is_poisoned_throughout_is_kept_whole_and_the_next_good_listing_heals() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let data = Bytes::from_static(br#"{"id":1,"name":"a\u0000b"}"#);
    let spoilt = |id| Record { data: data.clone(), ..record(tags, id, 5, "") };
    let batches = cut(tags, 10, Span::Partial, (1..=1_000).map(spoilt).collect());
    letters.load(&batches).await;
    assert_eq!(count(&mut letters, tags).await, 0);
    assert_eq!(letters.kinds().await, [("shape".to_owned(), None)]);
    assert_eq!([letters.only_batch().await], *batches);
    let loads = ledger(&mut letters.connection, tags.name).await.unwrap();
    assert_eq!(loads, [[1_000, 0, 0, 0, 0, 1_000]]);

    letters.load(&listing(tags, 20, named(tags, 1..=1_000, "good"))).await;
    letters.assert_none().await;
    assert_eq!(count(&mut letters, tags).await, 1_000);
    assert_eq!(letters.loader.terminate().await.unwrap(), Some(0));
}
