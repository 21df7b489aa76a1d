//! Every table has a primary key: publications for all tables, as those who copy databases make them,
//! refuse changes of a table without one.

use shared::listing::Span;
use sqlx::Executor as _;
use tests::rows::ledger;

use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, record};
use crate::given::guarded::Guarded;
use crate::replay::replaying::Replaying;

const WITHOUT: &str = "select c.oid::regclass::text from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
      and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)";

#[tokio::test]
async fn every_table_that_we_make_has_a_primary_key() {
    // With everything that an administrator's set-up makes, the vault too.
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let mut connection = guarded.world.connect().await.unwrap();
    let without: Vec<String> =
        sqlx::query_scalar(WITHOUT).fetch_all(&mut connection).await.unwrap();
    assert!(without.is_empty(), "{without:?}");
    let schemas = "select count(distinct relnamespace) from pg_class c
                   where relkind = 'r' and relname ~ '^(toggl_track__|secrets$)'";
    let schemas: i64 = sqlx::query_scalar(schemas).fetch_one(&mut connection).await.unwrap();
    assert_eq!(schemas, 2, "raw and vault");

    let mut replaying = Replaying::with_past().await;
    replaying.replay(&["--into", "rebuilt"], 0).await;
    let without: Vec<String> =
        sqlx::query_scalar(WITHOUT).fetch_all(&mut replaying.connection).await.unwrap();
    assert!(without.is_empty(), "{without:?}");
}

#[tokio::test]
async fn a_publication_for_all_tables_stops_nothing() {
    let mut replaying = Replaying::start().await;
    replaying.connection.execute("create publication everything for all tables").await.unwrap();
    let tags = resource("tags");
    for fetched_at in [10, 20, 30] {
        let records = (1..=30 - fetched_at / 10).map(|id| record(tags, id, fetched_at, "tag"));
        replaying.load(&listing(tags, fetched_at, records.collect())).await;
    }
    // Dead letters come and go, and a batch is partly older.
    let mut spoilt = record(tags, 7, 40, "x");
    spoilt.data = format!(r#"{{"id":7,"name":"a\u0000b","workspace_id":{WORKSPACE}}}"#).into();
    replaying.load(&cut(tags, 40, Span::Partial, vec![spoilt])).await;
    replaying.replay(&["--into", "rebuilt"], 6).await;
    let runs = ledger(&mut replaying.connection, "tags").await.unwrap();
    assert_eq!(runs.len(), 4);
    assert_eq!(runs[2], [27, 27, 0, 0, 1, 0]);
}
