//! Migrations that take long, wait, fail or are ended.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tests::servers::wait_for;
use tests::sessions::waiting_sessions;
use tests::toggl::Account;
use tests::world::World;

use crate::expected::endings::assert_fails_in_the_end;

/// Begins with an index on the claims.
const PEOPLE: i64 = 20_261_129_090_100;
const BEFORE_PEOPLE: i64 = 20_261_129_090_000;
const SOON: Duration = Duration::from_mins(1);
/// Longer than two lines about waiting are apart, and longer than a migration waits for a table.
const LATER: Duration = Duration::from_mins(2);

/// A database as an earlier release left it.
pub(crate) async fn earlier() -> World {
    let world = World::start_empty(Account::sample_at(Timestamp::now())).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let mut migrator = Migrator::new(folder).await.unwrap();
    migrator.dangerous_set_table_name("raw.toggl_track__migrations");
    migrator.create_schema("raw");
    let mut connection = world.connect().await.unwrap();
    migrator.run_to(BEFORE_PEOPLE, &mut connection).await.unwrap();
    connection.close().await.unwrap();
    world
}

async fn is_migrated(connection: &mut PgConnection) -> bool {
    sqlx::query_scalar(
        "select exists (select from raw.toggl_track__migrations where version = $1 and success)",
    )
    .bind(PEOPLE)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Keeps every migration from the claims.
async fn use_claims(connection: &mut PgConnection) {
    connection
        .execute("begin; lock table raw.toggl_track__claims in row exclusive mode")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_migration_of_another_loader_is_waited_for_without_an_end_and_that_is_said() {
    let world = earlier().await;
    let mut other = world.connect().await.unwrap();
    other.lock().await.unwrap();
    let loader = world.start_loader().await.unwrap();
    let said =
        || async { (loader.log().matches("Waiting for another loader").count() > 1).then_some(()) };
    wait_for("the loader to say twice that it waits", LATER, said).await.unwrap();
    assert!(!is_migrated(&mut other).await);
    other.unlock().await.unwrap();
    loader.logged("Loading ", SOON).await.unwrap();
    assert!(is_migrated(&mut other).await);
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_signal_ends_the_waiting_in_order() {
    let world = earlier().await;
    let mut other = world.connect().await.unwrap();
    other.lock().await.unwrap();
    for (command, signal, code) in [("run", "TERM", 0), ("run", "INT", 0), ("migrate", "INT", 1)] {
        let loader = world.loader(&[command]).start().await.unwrap();
        loader.logged("Waiting for another loader", SOON).await.unwrap();
        loader.signal(signal).unwrap();
        assert_eq!(loader.ended(SOON).await.unwrap(), Some(code), "{}", loader.log());
        let words = if code == 0 { "Stopped before" } else { "interrupted before" };
        assert!(loader.log().contains(words), "{}", loader.log());
    }
    assert!(!is_migrated(&mut other).await);
}

#[tokio::test]
async fn a_table_that_is_not_to_be_had_is_named_with_its_session_and_the_next_loader_goes_on() {
    let world = earlier().await;
    let mut reader = world.connect().await.unwrap();
    reader.execute("set application_name = 'a long report'").await.unwrap();
    let pid: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut reader).await.unwrap();
    use_claims(&mut reader).await;
    let first = world.loader(&["migrate"]).run();
    let second = async {
        let mut watcher = world.connect().await.unwrap();
        waiting_sessions(&mut watcher, 1).await.unwrap();
        let second = world.start_loader().await.unwrap();
        second.logged("Waiting for another loader", SOON).await.unwrap();
        second
    };
    let (first, second) = tokio::join!(first, second);
    let first = first.unwrap();
    let words = [&format!("session {pid}"), "a long report", "raw.toggl_track__claims"];
    assert_fails_in_the_end(&first, 1, &words);
    assert!(!is_migrated(&mut reader).await);
    reader.execute("commit").await.unwrap();
    second.logged("Loading ", SOON).await.unwrap();
    assert!(is_migrated(&mut reader).await);
}

#[tokio::test]
async fn a_migration_that_is_interrupted_leaves_everything_as_it_was() {
    let world = earlier().await;
    let mut user = world.connect().await.unwrap();
    let mut watcher = world.connect().await.unwrap();
    for signal in ["TERM", "KILL"] {
        use_claims(&mut user).await;
        let loader = world.start_loader().await.unwrap();
        waiting_sessions(&mut watcher, 1).await.unwrap();
        if signal == "KILL" {
            loader.kill9().unwrap();
        } else {
            assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
        }
        // The server ends its session by itself, although that waits.
        let gone = || async {
            let mut look = world.connect().await.ok()?;
            let count: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and application_name = 'toggl-track-loader'",
            )
            .fetch_one(&mut look)
            .await
            .ok()?;
            (count == 0).then_some(())
        };
        wait_for("the session of the ended loader to go", SOON, gone).await.unwrap();
        user.execute("commit").await.unwrap();
        assert!(!is_migrated(&mut user).await);
    }
    let loader = world.start_loader().await.unwrap();
    loader.logged("Loading ", SOON).await.unwrap();
    assert!(is_migrated(&mut user).await);
}

#[tokio::test]
async fn a_migration_that_fails_says_which_and_changes_nothing_and_the_next_start_goes_on() {
    let world = earlier().await;
    let mut connection = world.connect().await.unwrap();
    connection
        .execute(
            "create function public.no() returns event_trigger language plpgsql
                 as 'begin raise exception ''no views today''; end';
             create event trigger no on ddl_command_end when tag in ('CREATE VIEW')
                 execute function public.no()",
        )
        .await
        .unwrap();
    let failed = world.loader(&["migrate"]).run().await.unwrap();
    assert_fails_in_the_end(
        &failed,
        1,
        &["20261129090100", "nothing was changed", "no views today"],
    );
    let index: Option<String> =
        sqlx::query_scalar("select to_regclass('raw.toggl_track__claims_people')::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(index, None);
    connection.execute("drop event trigger no").await.unwrap();
    let migrate = world.loader(&["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
    assert!(is_migrated(&mut connection).await);
}
