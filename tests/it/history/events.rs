//! Histories of events, as releases up to the first one of versions wrote them, and what becomes of them.

use std::collections::BTreeSet;

use shared::catalogue::CATALOGUE;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tests::toggl::Account;
use tests::world::World;

use crate::expected::rows::resource;
use crate::history::intervals::assert_sound;

/// Rows and events as that release left them, of stories in their order and in any.
const WRITTEN: &str = include_str!("../../fixtures/history_of_events.sql");

/// Brings an empty database back to the tables before the history was one of versions.
pub(crate) async fn back_to_events(connection: &mut PgConnection) {
    connection
        .execute(
            "delete from raw.toggl_track__migrations where version = 20261130110000;
             drop function raw.toggl_track__as_of;
             drop view raw.toggl_track__changes, raw.toggl_track__versions;
             drop table raw.toggl_track__history",
        )
        .await
        .unwrap();
    let events = include_str!("../../../migrations/20261123150000_create_history.sql");
    connection.execute(events).await.unwrap();
    for resource in CATALOGUE {
        let sql = format!("alter table raw.{} drop column valid_from", resource.table());
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

async fn migrate(world: &World) {
    let migrated = world.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(migrated.code, Some(0), "{}", migrated.stderr);
}

/// What every table was at every second of the stories. Without what is told more exactly now: of rows that
/// are deleted, when they were there last.
async fn past(connection: &mut PgConnection) -> BTreeSet<String> {
    let past: Vec<String> = sqlx::query_scalar(
        "with stored (resource, source_id, fetched_at, deleted_at) as (
             select 'tags', source_id, fetched_at, deleted_at from raw.toggl_track__tags
             union all
             select 'projects', source_id, fetched_at, deleted_at from raw.toggl_track__projects
             union all
             select 'time_entries', source_id, fetched_at, deleted_at from raw.toggl_track__time_entries
             union all
             select 'users', source_id, fetched_at, deleted_at from raw.toggl_track__users
             union all
             select 'workspaces', source_id, fetched_at, deleted_at from raw.toggl_track__workspaces
         )
         select format('%s %s %s %s: %s %s', resource, second, v.source_id, v.workspace_id, v.data->>'name',
                       v.modified_at)
         from unnest(array['tags', 'projects', 'time_entries', 'users', 'workspaces']) resource
         cross join generate_series(to_timestamp(1790000000), to_timestamp(1790000061), '1s') second
         cross join lateral raw.toggl_track__as_of(resource, second) v
         join stored s using (resource, source_id)
         where s.deleted_at is null or second < least(s.fetched_at, s.deleted_at)",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    past.into_iter().collect()
}

#[tokio::test]
async fn a_history_of_events_becomes_one_of_versions_that_says_the_same() {
    let world = World::start(Account::empty()).await.unwrap();
    migrate(&world).await;
    let mut connection = world.connect().await.unwrap();
    back_to_events(&mut connection).await;
    connection.execute(WRITTEN).await.unwrap();
    connection.execute("grant select on raw.toggl_track__history to public").await.unwrap();
    let before = past(&mut connection).await;
    let events: i64 = count(&mut connection).await;

    migrate(&world).await;
    assert_eq!(past(&mut connection).await, before);
    for name in ["tags", "projects", "time_entries", "users", "workspaces"] {
        assert_sound(&mut connection, resource(name)).await;
    }
    let versions: i64 = count(&mut connection).await;
    assert!(0 < versions && versions * 2 < events, "{versions} versions of {events} events");
    let public: bool = sqlx::query_scalar(
        "select exists (select from pg_class cross join lateral aclexplode(relacl)
                        where oid = 'raw.toggl_track__history'::regclass and grantee = 0)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(public, "who could read it still can");
}

async fn count(connection: &mut PgConnection) -> i64 {
    let sql = "select count(*) from raw.toggl_track__history";
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

/// A live row that changed while nothing was recorded, one that was deleted meanwhile, and one that
/// somebody removed by hand.
const UNRECORDED: &str = "
    insert into raw.toggl_track__tags
        (source_id, workspace_id, data, api_version, fetched_at, deleted_at, content_hash)
    values (1, 7, '{\"name\": \"B\"}', 'v9', '2026-03-01', null, 0),
           (2, 7, '{\"name\": \"A\"}', 'v9', '2026-01-01', '2026-03-01', 0),
           (3, 7, '{\"name\": \"never recorded\"}', 'v9', '2026-02-01', null, 0);
    insert into raw.toggl_track__history (resource, source_id, workspace_id, kind, data, fetched_at)
    values ('tags', 1, 7, 'created', '{\"name\": \"A\"}', '2026-01-01'),
           ('tags', 2, 7, 'created', '{\"name\": \"A\"}', '2026-01-01'),
           ('tags', 4, 7, 'created', '{\"name\": \"removed\"}', '2026-01-01')";

#[tokio::test]
async fn what_a_history_of_events_did_not_record_is_not_made_up() {
    let world = World::start(Account::empty()).await.unwrap();
    migrate(&world).await;
    let mut connection = world.connect().await.unwrap();
    back_to_events(&mut connection).await;
    connection.execute(UNRECORDED).await.unwrap();
    migrate(&world).await;

    let sql = "select format('%s %s %s to %s', source_id, data->>'name', valid_from::date,
                             case when valid_to > now() - interval '1 day' then 'today'
                                  else coalesce(valid_to::date::text, 'ever') end)
               from raw.toggl_track__versions where resource = 'tags' order by source_id, valid_from";
    let versions: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    let expected = [
        "1 A 2026-01-01 to 2026-03-01",
        "1 B 2026-03-01 to ever",
        "2 A 2026-01-01 to 2026-03-01",
        "3 never recorded 2026-02-01 to ever",
        "4 removed 2026-01-01 to today",
    ];
    assert_eq!(versions, expected);
    assert_sound(&mut connection, resource("tags")).await;
}
