//! The views as files: applied again when their text has changed, by whoever may, and in nobody's way.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};
use tests::toggl::Account;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_fails_in_the_end};
use crate::given::guarded::Guarded;
use crate::staging::catalogue::new_role;
use crate::tables::catalogue::migrated;
use crate::tables::waits::earlier;

const SOON: Duration = Duration::from_mins(1);

/// A former text of two views, of which one reads the other: a column is missing in the middle and a type
/// is another one, so that Postgres cannot replace them.
const FORMER: &str = "
    drop view staging.stg_toggl_track__freshness, staging.stg_toggl_track__coverage cascade;
    create view staging.stg_toggl_track__coverage as
        select ''::text as resource, 1::int as workspace_id, now() as covered_newest_at, 1 as former;
    create view staging.stg_toggl_track__freshness as
        select resource, now() as last_loaded_at from staging.stg_toggl_track__coverage;
    update raw.toggl_track__views set checksum = 1
        where view_name in ('stg_toggl_track__freshness', 'stg_toggl_track__coverage')";

/// Everything that can be said of the views: columns, types, text and comments.
async fn views(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s %s %s', c.relname, pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class'))
         from pg_class c where relnamespace = 'staging'::regnamespace and relkind = 'v'
         union all
         select format('%s %s %s %s %s', c.relname, attnum, attname, atttypid::regtype,
                       col_description(c.oid, attnum))
         from pg_class c join pg_attribute on attrelid = c.oid
         where relnamespace = 'staging'::regnamespace and relkind = 'v' and attnum > 0
         order by 1",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn migrated_world() -> World {
    let world = World::start_empty(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    migrate(&world).await;
    world
}

async fn migrate(world: &World) {
    let finished = world.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[tokio::test]
async fn a_new_database_and_an_old_one_have_the_same_views() {
    let new = views(&mut migrated().await).await;
    let old = earlier().await;
    let mut connection = old.connect().await.unwrap();
    execute(
        &mut connection,
        "insert into raw.toggl_track__clients
             (source_id, workspace_id, data, api_version, fetched_at, content_hash)
         values (1, 1, '{\"name\": \"One\", \"notes\": \"Pays late.\"}', 'v9', now(), 1)",
    )
    .await;
    migrate(&old).await;
    assert_eq!(views(&mut connection).await, new);
    let notes: String = sqlx::query_scalar("select notes from staging.stg_toggl_track__clients")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(notes, "Pays late.");
}

#[tokio::test]
async fn a_changed_view_is_made_anew_with_what_reads_it_and_who_could_read_them_still_can() {
    let world = migrated_world().await;
    let mut connection = world.connect().await.unwrap();
    let present = views(&mut connection).await;
    let (reader, few) =
        (new_role(&mut connection, "nologin").await, new_role(&mut connection, "nologin").await);
    execute(&mut connection, FORMER).await;
    execute(
        &mut connection,
        &format!(
            "grant usage on schema staging to {reader}, {few};
             alter default privileges in schema staging grant select on tables to {few};
             grant select on staging.stg_toggl_track__freshness to {reader} with grant option;
             grant select (resource, former) on staging.stg_toggl_track__coverage to {reader};
             alter view staging.stg_toggl_track__coverage set (security_barrier = true)"
        ),
    )
    .await;
    migrate(&world).await;
    assert_eq!(views(&mut connection).await, present);
    let rights: Vec<bool> = sqlx::query_scalar(AssertSqlSafe(format!(
        "select unnest(array[
             has_table_privilege('{reader}', freshness, 'select with grant option'),
             has_column_privilege('{reader}', coverage, 'resource', 'select'),
             not has_column_privilege('{reader}', coverage, 'workspace_id', 'select'),
             not has_table_privilege('{few}', freshness, 'select'),
             (select reloptions = '{{security_barrier=true}}' from pg_class where oid = coverage)])
         from (select 'staging.stg_toggl_track__freshness'::regclass as freshness,
                      'staging.stg_toggl_track__coverage'::regclass as coverage) views"
    )))
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(rights, [true; 5]);
    execute(&mut connection, &format!("drop owned by {reader}, {few}")).await;
}

#[tokio::test]
async fn a_view_that_somebodys_own_view_reads_keeps_its_text_and_the_loader_loads() {
    let world = migrated_world().await;
    let mut connection = world.connect().await.unwrap();
    let present = views(&mut connection).await;
    execute(&mut connection, FORMER).await;
    execute(
        &mut connection,
        "create view public.mine as select former from staging.stg_toggl_track__coverage;
         update raw.toggl_track__views set checksum = 1 where view_name = 'stg_toggl_track__tags'",
    )
    .await;
    let words =
        ["staging.stg_toggl_track__coverage", "view mine depends on view", "loader migrate"];
    assert_fails(&world.loader(&["migrate"]).run().await.unwrap(), 1, &words);
    let loader = world.start_loader().await.unwrap();
    loader.logged("Loading ", SOON).await.unwrap();
    assert!(words.iter().all(|word| loader.log().contains(word)), "{}", loader.log());
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    let noted: Vec<String> = sqlx::query_scalar(
        "select view_name from raw.toggl_track__views where checksum = 1 order by 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    // The one reads the other, and is to show what that does not have yet.
    let kept = ["stg_toggl_track__coverage", "stg_toggl_track__freshness"];
    assert_eq!(noted, kept, "the others have their present form");
    execute(&mut connection, "drop view public.mine").await;
    migrate(&world).await;
    assert_eq!(views(&mut connection).await, present);
}

#[tokio::test]
async fn the_views_of_a_newer_loader_are_left_and_a_missing_one_is_made() {
    let world = migrated_world().await;
    let mut connection = world.connect().await.unwrap();
    let present = views(&mut connection).await;
    execute(&mut connection, FORMER).await;
    execute(&mut connection, "update raw.toggl_track__views set loader_version = '999.1.0'").await;
    let former = views(&mut connection).await;
    migrate(&world).await;
    assert_eq!(views(&mut connection).await, former);
    execute(
        &mut connection,
        "update raw.toggl_track__views set loader_version = '0.0.1';
         drop view staging.stg_toggl_track__tags",
    )
    .await;
    migrate(&world).await;
    assert_eq!(views(&mut connection).await, present);
}

#[tokio::test]
async fn loaders_that_start_together_make_a_changed_view_once() {
    let world = migrated_world().await;
    let mut connection = world.connect().await.unwrap();
    let present = views(&mut connection).await;
    execute(&mut connection, FORMER).await;
    let loaders = [world.start_loader().await.unwrap(), world.start_loader().await.unwrap()];
    for loader in loaders {
        loader.logged("Loading ", SOON).await.unwrap();
        assert!(!loader.log().contains("ERROR"), "{}", loader.log());
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
    assert_eq!(views(&mut connection).await, present);
}

#[tokio::test]
async fn who_may_not_change_views_loads_with_the_former_ones_and_is_told_whose_they_are() {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("etl", "").await;
    guarded.set_up().await;
    guarded
        .execute(
            "grant usage on schema raw, staging to etl;
             grant select, insert, update, delete on all tables in schema raw to etl;
             grant select on all tables in schema staging to etl",
        )
        .await;
    let start = || async {
        let loader = guarded.loader_as("etl", &[]).start().await.unwrap();
        loader.logged("Loading ", SOON).await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
        loader.log()
    };
    assert!(!start().await.contains("views are of an earlier loader"));
    guarded.execute("update raw.toggl_track__views set checksum = 1").await;
    assert!(start().await.contains("views are of an earlier loader"));
    let check = guarded.loader_as("etl", &["check"]).run().await.unwrap();
    assert!(check.stdout.contains("[NOTE] some views are of an earlier loader"), "{check:#?}");
    let migrate = guarded.loader_as("etl", &["migrate"]).run().await.unwrap();
    assert_fails(&migrate, 1, &["views are of an earlier loader", "loader setup"]);
    guarded.execute("revoke all on raw.toggl_track__views from etl").await;
    assert!(!start().await.contains("ERROR"));
}

#[tokio::test]
async fn a_view_that_is_read_for_too_long_is_named_with_its_reader_and_keeps_its_text() {
    let world = migrated_world().await;
    let mut reader = world.connect().await.unwrap();
    execute(
        &mut reader,
        "set application_name = 'a long report';
         update raw.toggl_track__views set checksum = 1 where view_name = 'stg_toggl_track__tags';",
    )
    .await;
    execute(&mut reader, "begin; select count(*) from staging.stg_toggl_track__tags").await;
    let migrate = world.loader(&["migrate"]).run().await.unwrap();
    let words = ["staging.stg_toggl_track__tags", "a long report", "nothing was changed"];
    assert_fails_in_the_end(&migrate, 1, &words);
    execute(&mut reader, "commit").await;
    self::migrate(&world).await;
}
