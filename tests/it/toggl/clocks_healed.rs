//! Tables into which an earlier release wrote times of fetching that lie in the future.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::toggl::Account;
use tests::world::World;

use crate::history::events::back_to_events;

/// As an earlier release left it: tag 1 was fetched ten years ahead by a run that lacked tag 2; tag 3 was
/// noted in a row whose batch is in no ledger; tag 4 is as it should be. Nothing of the workspace's later
/// listing, which had tags 1 and 2, could be applied.
const POISONED: &str = "
    delete from raw.toggl_track__migrations where version = 20261129100300;
    drop index raw.toggl_track__loads_clocks_ahead;
    alter table raw.toggl_track__loads drop column told_fetched_at;
    insert into raw.toggl_track__loads
        (run_id, resource, workspace_id, part, received, written, unchanged, stale, deleted, dead,
         fetched_at, loaded_at, stream_sequence)
    values ('00000000-0000-7000-8000-000000000001', 'tags', 7, 0, 1, 1, 0, 0, 1, 0,
            '2099-01-01', '2026-02-01', 1),
           ('00000000-0000-7000-8000-000000000001', 'tags', 7, 1, 1, 1, 0, 0, 1, 0,
            '2099-01-01', '2026-02-02', 2);
    insert into raw.toggl_track__claims (resource, workspace_id, ids, fetched_at, run_id)
    values ('tags', 7, '(,)', '2099-01-01', '00000000-0000-7000-8000-000000000001');
    insert into raw.toggl_track__tags
        (source_id, workspace_id, data, api_version, fetched_at, synced_at, deleted_at, content_hash)
    values (1, 7, '{}', 'v9', '2099-01-01', '2026-02-01', null, 0),
           (2, 7, '{}', 'v9', '2026-01-01', '2026-02-01', '2099-01-01', 0),
           (3, 7, '{}', 'v9', '2098-01-01', '2026-03-01', null, 0),
           (4, 7, '{}', 'v9', '2026-01-01', '2026-01-01', '2026-01-02', 0);
    insert into raw.toggl_track__history
        (resource, source_id, workspace_id, kind, data, fetched_at, recorded_at)
    values ('tags', 1, 7, 'created', '{}', '2099-01-01', '2026-02-01');
    insert into raw.toggl_track__dead_letters
        (resource, subject, stream_sequence, published_at, reason, payload, fetched_at)
    values ('tags', 's', 1, '2026-02-01', 'r', '', '2099-01-01')";

async fn texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn what_was_written_into_the_future_is_brought_back_to_when_it_was_loaded() {
    let world = World::start(Account::empty()).await.unwrap();
    let migrate = async || {
        let migrated = world.loader(&["migrate"]).run().await.unwrap();
        assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
    };
    let mut connection = world.connect().await.unwrap();
    back_to_events(&mut connection).await;
    connection.execute(POISONED).await.unwrap();
    migrate().await;

    let rows = "select format('%s %s %s', source_id, fetched_at::date, deleted_at::date)
                from raw.toggl_track__tags order by source_id";
    let healed =
        ["1 2026-02-01 ", "2 2026-01-01 2026-02-01", "3 2026-03-01 ", "4 2026-01-01 2026-01-02"];
    assert_eq!(texts(&mut connection, rows).await, healed);
    for (table, column) in [
        ("claims", "fetched_at"),
        ("tags where source_id = 1", "valid_from"),
        ("dead_letters", "fetched_at"),
    ] {
        let sql = format!("select {column}::date::text from raw.toggl_track__{table}");
        assert_eq!(texts(&mut connection, &sql).await, ["2026-02-01"], "{table}");
    }
    let loads = "select format('%s %s', fetched_at::date, told_fetched_at::date)
                 from raw.toggl_track__loads";
    assert_eq!(texts(&mut connection, loads).await, ["2026-02-01 2099-01-01"; 2]);
}
