//! `migrations/roles.sql` over a pipeline that runs: nothing stops, and only what is ours changes hands.

use std::time::Duration;

use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use sqlx::{AssertSqlSafe, Connection as _};
use tests::workers::Resident;

use crate::expected::rows::resource;
use crate::given::batches::{cut, publish, record};
use crate::given::guarded::{ADMIN, Guarded, LOADER, password};

/// The role by which somebody runs loaders before they hear of the small ones.
const OLD: &str = "etl";
const LOAD: Duration = Duration::from_mins(1);

/// Tables of that role, and a loader that is at work.
async fn running(attributes: &str) -> (Guarded, Resident) {
    let guarded = Guarded::start_bare().await;
    guarded.create_role(OLD, attributes).await;
    let database = &guarded.world.database.name;
    guarded.execute(&format!("grant create on database {database} to {OLD}")).await;
    // As an administrator at NATS, who makes the stream.
    let loader = guarded.loader_as(OLD, &[]).env("NATS_USER", ADMIN);
    let loader = loader.env("NATS_PASSWORD", password(ADMIN)).start().await.unwrap();
    loader.logged("Loading ", LOAD).await.unwrap();
    guarded.world.sync(&[]).await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    (guarded, loader)
}

/// One more tag, loaded.
async fn load_one(guarded: &Guarded, loader: &Resident, round: i64) {
    let (tags, fetched_at) = (resource("tags"), 20_000 * round + 100);
    let one = vec![record(tags, 1_000 + round, fetched_at, "new")];
    let context = guarded.world.jetstream().await.unwrap();
    publish(&context, &cut(tags, fetched_at, Span::Partial, one)).await;
    guarded.world.loaded_by(loader).await.unwrap();
    let mut connection = guarded.world.connect().await.unwrap();
    let loaded: bool = sqlx::query_scalar(
        "select exists (select from raw.toggl_track__tags where source_id = $1)",
    )
    .bind(1_000 + round)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(loaded, "{}", loader.log());
    connection.close().await.unwrap();
}

/// Many batches, of every table.
async fn load_everywhere(guarded: &Guarded, round: i64) {
    let context = guarded.world.jetstream().await.unwrap();
    for moment in 0..10 {
        let fetched_at = 20_000 * round + moment;
        for resource in CATALOGUE {
            let records = (1..=5).map(|id| record(resource, id, fetched_at, "new")).collect();
            publish(&context, &cut(resource, fetched_at, Span::Partial, records)).await;
        }
    }
}

async fn goes_on(attributes: &str, back: &str) {
    let (guarded, loader) = running(attributes).await;
    for round in 1..=3 {
        // As often as one likes, and while batches are applied.
        tokio::join!(guarded.make_roles(), load_everywhere(&guarded, round));
        load_one(&guarded, &loader, round).await;
    }
    // After its next start, too, and what it says of itself.
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert!(!loader.log().contains("ERROR"), "{}", loader.log());
    let loader = guarded.loader_as(OLD, &[]).start().await.unwrap();
    load_one(&guarded, &loader, 4).await;
    let status = guarded.loader_as(OLD, &["status"]).run().await.unwrap();
    assert!(!status.stdout.contains("may not"), "{status:#?}");
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());

    guarded.execute(back).await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    load_one(&guarded, &loader, 5).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert!(!loader.log().contains("ERROR"), "{}", loader.log());
    let refused = guarded.loader_as(OLD, &[]).run().await.unwrap();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let last = refused.stderr.lines().last().unwrap();
    assert!(last.contains("belong to toggl_track_loader"), "{last}");
    assert!(last.contains("log in as toggl_track_loader"), "{last}");
}

#[tokio::test]
async fn a_running_loader_goes_on_while_its_tables_become_the_small_roles() {
    goes_on("", "revoke toggl_track_loader from etl").await;
}

#[tokio::test]
async fn a_running_loader_goes_on_also_where_its_role_inherits_nothing() {
    goes_on("noinherit", "revoke all on all tables in schema raw, staging from etl").await;
}

#[tokio::test]
async fn who_is_given_the_rights_and_how_to_take_them_back_is_said_once() {
    let (guarded, _loader) = running("").await;
    let database = &guarded.world.database.name;
    guarded.execute(&format!("alter database {database} set log_min_messages = 'notice'")).await;
    for _ in 0..2 {
        guarded.make_roles().await;
        let log = guarded.world.postgres().log();
        let notices = log.matches("run: revoke toggl_track_loader from etl").count();
        assert_eq!(notices, 1, "{log}");
    }
}

#[tokio::test]
async fn tables_that_no_migration_made_stay_whose_they_are() {
    let guarded = Guarded::start_bare().await;
    guarded.create_role("airbyte", "").await;
    guarded
        .execute(
            "create schema raw authorization airbyte; set role airbyte;
             create table raw.toggl_track__tags (id text)",
        )
        .await;
    guarded.make_roles().await;
    let mut connection = guarded.world.connect().await.unwrap();
    let owner: String = sqlx::query_scalar(AssertSqlSafe(
        "select tableowner::text from pg_tables where tablename = 'toggl_track__tags'",
    ))
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(owner, "airbyte");
}

#[tokio::test]
async fn everything_that_migrations_made_changes_hands() {
    let (guarded, loader) = running("").await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    guarded.make_roles().await;
    let mut connection = guarded.world.connect().await.unwrap();
    let others: Vec<String> = sqlx::query_scalar(
        "select oid::regclass::text from pg_class
         where relnamespace in ('raw'::regnamespace, 'staging'::regnamespace)
             and relowner <> 'toggl_track_loader'::regrole
         union all
         select oid::regprocedure::text from pg_proc
         where pronamespace in ('raw'::regnamespace, 'staging'::regnamespace)
             and proowner <> 'toggl_track_loader'::regrole",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(others, Vec::<String>::new());
    let migrate = guarded.loader_as(LOADER, &["migrate"]).run().await.unwrap();
    assert_eq!(migrate.code, Some(0), "{migrate:#?}");
}
