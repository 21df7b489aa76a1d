//! `loader status` where something is broken: it says what, and what to do.

use jiff::Timestamp;
use shared::consumer::{Notes, Readers, Trouble, change_notes};
use shared::listing::Span;
use sqlx::Executor as _;
use tests::servers::Shutdown;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::{Letters, poison};
use crate::expected::endings::{assert_fails, assert_unspoken};
use crate::expected::rows::resource;
use crate::given::batches::{cut, publish};
use crate::given::watched::{Watched, assert_says, ended, of, status, status_json};

async fn loaded(world: World) -> World {
    world.sync_and_load(&[]).await.unwrap();
    world
}

fn sample() -> Account {
    Account::sample_at(Timestamp::now())
}

#[tokio::test]
async fn without_postgres_it_tells_what_nats_knows() {
    let world = loaded(World::start_with_own_postgres(sample()).await.unwrap()).await;
    world.postgres().stop(Shutdown::Fast).await.unwrap();
    let found = status_json(&world, 5).await;
    assert_says(&found, &["cannot connect to Postgres", "is it running", "DATABASE_URL"]);
    assert_eq!(found["postgres_reachable"], false);
    assert_eq!(found["nats_reachable"], true);
    assert_eq!(of(&found, "tags")["pending"], 0);
    assert!(of(&found, "tags")["rows_live"].is_null());
    let finished = status(&world, 5).await;
    assert!(finished.stdout.contains("Stream: "), "{}", finished.stdout);
}

#[tokio::test]
async fn without_nats_it_tells_what_postgres_knows() {
    let world = loaded(World::start(sample()).await.unwrap()).await;
    world.nats.kill9().unwrap();
    let found = status_json(&world, 5).await;
    assert_says(&found, &["cannot reach NATS", "is it running", "NATS_URL"]);
    assert_eq!(found["nats_reachable"], false);
    assert_eq!(of(&found, "time_entries")["rows_live"], 6);
    assert!(of(&found, "tags")["pending"].is_null());
    assert!(!found["attention"].to_string().contains("ever fetched"));
}

#[tokio::test]
async fn a_silent_nats_is_out_of_reach_too() {
    let world = loaded(World::start(sample()).await.unwrap()).await;
    world.nats.signal("STOP").unwrap();
    assert_says(&status_json(&world, 5).await, &["NATS", "is it running"]);
    world.nats.signal("CONT").unwrap();
}

#[tokio::test]
async fn refused_logins_name_the_settings_and_never_the_password() {
    let world = loaded(World::start(sample()).await.unwrap()).await;
    let (port, name) = (world.postgres().port(), &world.database.name);
    let url = format!("postgres://nobody:hunter2@127.0.0.1:{port}/{name}");
    let finished = ended(world.loader(&["status"]).env("DATABASE_URL", url), 5).await;
    assert!(finished.stdout.contains("DATABASE_URL"), "{}", finished.stdout);
    assert_unspoken(&finished, "hunter2");
}

#[tokio::test]
async fn missing_tables_name_the_command_that_makes_them() {
    let world = loaded(World::start(sample()).await.unwrap()).await;
    let mut connection = world.connect().await.unwrap();
    let drop = "drop table raw.toggl_track__tags cascade";
    connection.execute(drop).await.unwrap();
    let found = status_json(&world, 6).await;
    assert_says(&found, &["tables are missing in the schema raw (tags)", "`loader migrate`"]);
    assert_eq!(of(&found, "time_entries")["rows_live"], 6);
    connection.execute("drop schema raw cascade").await.unwrap();
    assert_says(&status_json(&world, 6).await, &["tables of this database", "`loader migrate`"]);
}

#[tokio::test]
async fn dead_letters_name_the_command_that_shows_them() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&cut(tags, 10, Span::Partial, poison(tags, 1..=3))).await;
    let found = status_json(&letters.world, 6).await;
    assert_says(&found, &["3 dead letters (3 tags)", "`loader dead-letters list`"]);
    assert_eq!(of(&found, "tags")["dead_letters"], 3);
    letters.allow(tags, "no_poison").await;
    letters.run(&["retry", "--all"], 0).await;
    // What was made by hand was fetched long ago.
    let patient = letters.world.loader(&["status", "--json", "--max-age", "366d"]);
    let found = serde_json::from_str(&ended(patient, 0).await.stdout).unwrap();
    assert_eq!(of(&found, "tags")["dead_letters"], 0);
}

#[tokio::test]
async fn a_full_stream_names_the_setting() {
    let world = loaded(World::start(sample()).await.unwrap()).await;
    let context = world.jetstream().await.unwrap();
    let used = context.get_stream(shared::stream::STREAM).await.unwrap().cached_info().state.bytes;
    let full = (used + 100).to_string();
    let fetched = world.fetcher(&[]).env("STREAM_MAX_BYTES", full).run().await.unwrap();
    assert_eq!(fetched.code, Some(1), "{fetched:#?}");
    assert_says(&status_json(&world, 6).await, &["the stream is full", "STREAM_MAX_BYTES"]);
}

#[tokio::test]
async fn a_table_in_trouble_is_named_by_its_loader_and_by_status() {
    let world = World::start(Account::empty()).await.unwrap();
    let watched = Watched::start(&world).await;
    world.loaded().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    connection.execute("drop table raw.toggl_track__tags cascade").await.unwrap();
    let context = world.jetstream().await.unwrap();
    for name in ["tags", "clients"] {
        let resource = resource(name);
        publish(&context, &cut(resource, 10, Span::Partial, poison(resource, 1..=1))).await;
    }
    watched.answers("/", 200, &["tags is not loaded since", "does not exist"]).await;
    let stopped = "toggl_track_loader_stopped{resource=\"tags\"} 1";
    watched.answers("/metrics", 200, &[stopped]).await;
    assert!(watched.loader.log().contains("raw.toggl_track__tags is not loaded"));

    // Whoever asks for readiness is told, too.
    watched.answers("/readyz", 503, &["tags"]).await;
    let healthcheck = world.loader(&["healthcheck", "--http", &watched.address]);
    assert_fails(&healthcheck.run().await.unwrap(), 1, &["not ready", "tags"]);

    // Nobody loads it, and everything else is loaded.
    let found = status_json(&world, 6).await;
    assert_says(
        &found,
        &["tables are missing in the schema raw (tags)", "tags is not loaded since"],
    );
    assert_eq!(found["loader_at_work"], true);
    let line = of(&found, "tags");
    assert_eq!(line["pending"].as_u64().unwrap() + line["in_flight"].as_u64().unwrap(), 1);
    assert_eq!(of(&found, "clients")["rows_live"], 1);
}

/// As a loader does that cannot get past something.
async fn note(world: &World, name: &str, words: &str) {
    let trouble = Some(Trouble { since: Timestamp::now(), words: words.to_owned() });
    let context = world.jetstream().await.unwrap();
    let change = |notes| Notes { trouble, ..notes };
    change_notes(&context, &Readers::Main, resource(name), change).await.unwrap();
}

#[tokio::test]
async fn a_table_in_trouble_is_never_healthy_whoever_asks_and_in_the_moment_it_is_noted() {
    let world = World::start(Account::empty()).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    // What is noted about a table that nothing waits for is of the past.
    note(&world, "tags", "the table is locked: unlock it").await;
    status(&world, 0).await;

    // No loader of this world has seen the trouble but the one that noted it.
    let mut connection = world.connect().await.unwrap();
    connection.execute("begin; lock table raw.toggl_track__tags in exclusive mode").await.unwrap();
    let watched = Watched::start(&world).await;
    let tags = resource("tags");
    let context = world.jetstream().await.unwrap();
    publish(&context, &cut(tags, 10, Span::Partial, poison(tags, 1..=1))).await;
    watched.answers("/metrics", 200, &["lag_messages{resource=\"tags\"} 1"]).await;
    note(&world, "tags", "the table is locked: unlock it").await;
    let words = ["tags is not loaded since ", "1 batch wait", "the table is locked: unlock it"];
    let found = status_json(&world, 6).await;
    assert_says(&found, &words);
    let trouble = &of(&found, "tags")["trouble"];
    assert_eq!(trouble["words"], "the table is locked: unlock it");
    let since: Timestamp = trouble["since"].as_str().unwrap().parse().unwrap();
    assert!(since <= Timestamp::now());
    assert!(of(&found, "me")["trouble"].is_null());
    assert!(!status(&world, 6).await.stdout.contains("Healthy"));

    watched.answers("/", 200, &words).await;
    watched.answers("/metrics", 200, &["toggl_track_loader_stopped{resource=\"tags\"} 1"]).await;
    watched.answers("/readyz", 503, &["tags is not loaded: the table is locked"]).await;
    let healthcheck = world.loader(&["healthcheck", "--http", &watched.address]);
    assert_fails(&healthcheck.run().await.unwrap(), 1, &["tags is not loaded"]);

    connection.execute("rollback").await.unwrap();
    world.loaded().await.unwrap();
    watched.answers("/readyz", 200, &["ok"]).await;
}
