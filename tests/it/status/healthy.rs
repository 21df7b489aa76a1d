//! `loader status` where nothing is broken, or nothing is there yet.

use shared::catalogue::CATALOGUE;
use shared::resource::Resource;
use sqlx::PgConnection;
use tests::rows::raw_rows;
use tests::toggl::Account;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::guarded::Guarded;
use crate::given::watched::{assert_says, ended, of, status, status_json};

async fn sample() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// Live and deleted rows.
async fn counted(connection: &mut PgConnection, resource: &Resource) -> (usize, usize) {
    let rows = raw_rows(connection, resource).await.unwrap();
    let deleted = rows.values().filter(|row| row.deleted_at.is_some()).count();
    (rows.len() - deleted, deleted)
}

#[tokio::test]
async fn a_pipeline_that_is_well_is_told_in_true_numbers() {
    let world = sample().await;
    world.sync_and_load(&[]).await.unwrap();
    world.toggl.with_account(|account| {
        let id = account.time_entries().next().unwrap().id();
        account.delete_time_entry(id, jiff::Timestamp::now());
    });
    world.sync(&[]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();

    let found = status_json(&world, 0).await;
    assert_eq!(found["verdict"], "healthy");
    assert_eq!(found["loader_at_work"], true);
    let mut connection = world.connect().await.unwrap();
    for resource in CATALOGUE {
        let line = of(&found, resource.name);
        let (live, deleted) = counted(&mut connection, resource).await;
        assert_eq!((&line["rows_live"], &line["rows_deleted"]), (&live.into(), &deleted.into()));
        assert_eq!((&line["pending"], &line["in_flight"]), (&0.into(), &0.into()), "{line}");
        assert_eq!((&line["dead_letters"], &line["oldest_unloaded_at"]), (&0.into(), &().into()));
    }
    let entries = of(&found, "time_entries");
    let (live, deleted) = counted(&mut connection, resource("time_entries")).await;
    assert!(live > 0 && deleted > 0 && live + deleted > 5, "{entries}");
    assert!(entries["complete_at"].is_string() && entries["last_changed_at"].is_string());
    assert!(of(&found, "tags")["complete_at"].is_string());
    // What claims nothing is never complete, and what was never fetched has no times.
    assert!(of(&found, "me")["complete_at"].is_null());
    assert!(of(&found, "tasks")["last_fetched_at"].is_null());

    let finished = status(&world, 0).await;
    let text = &finished.stdout;
    let entries = text.lines().find(|line| line.starts_with("time_entries ")).unwrap();
    let cells: Vec<&str> = entries.split_whitespace().collect();
    let expected = [live.to_string(), deleted.to_string()];
    assert_eq!(cells[1..3], expected, "{text}");
    assert!(text.contains("Loaders: at work") && text.ends_with("\nHealthy\n"), "{text}");
    let table = text.lines().take(CATALOGUE.len() + 1);
    let widths: Vec<usize> = table.map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0]), "the columns stand straight: {text}");
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn without_a_loader_it_says_what_waits_and_to_start_one() {
    let world = sample().await;
    world.sync_and_load(&[]).await.unwrap();
    // Nothing waits, so that nothing is wrong.
    let found = status_json(&world, 0).await;
    assert_eq!(found["loader_at_work"], false);

    world.sync(&[]).await.unwrap();
    let found = status_json(&world, 6).await;
    assert_says(&found, &["no loader is at work", "start one with `loader`"]);
    let tags = of(&found, "tags");
    assert_eq!(tags["pending"], 1, "{tags}");
    let oldest: jiff::Timestamp = tags["oldest_unloaded_at"].as_str().unwrap().parse().unwrap();
    assert!(jiff::Timestamp::now().duration_since(oldest).as_secs() < 120, "{tags}");
    // What is settled is not the oldest, though it is older.
    let context = world.jetstream().await.unwrap();
    let stream = context.get_stream(shared::stream::STREAM).await.unwrap();
    let newest = stream.direct_get_last_for_subject("toggl_track.raw.tags").await.unwrap().time;
    assert_eq!(oldest.as_nanosecond(), newest.unix_timestamp_nanos(), "{tags}");
}

#[tokio::test]
async fn a_loader_that_was_killed_is_no_loader_at_work() {
    let world = sample().await;
    world.sync(&[]).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(status_json(&world, 0).await["loader_at_work"], true);
    loader.kill9().unwrap();
    world.sync(&[]).await.unwrap();
    let found = status_json(&world, 6).await;
    assert_eq!(found["loader_at_work"], false);
    assert_says(&found, &["no loader is at work", "start one with `loader`"]);
}

#[tokio::test]
async fn before_anything_was_started_it_says_what_to_start() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let found = status_json(&world, 6).await;
    assert_says(&found, &["`loader migrate`", "the stream TOGGL_TRACK_RAW is missing"]);

    world.sync(&[]).await.unwrap();
    let found = status_json(&world, 6).await;
    assert_says(&found, &["`loader migrate`", "no loader has ever started"]);

    let other = World::start(Account::empty()).await.unwrap();
    let loader = other.start_loader().await.unwrap();
    other.loaded().await.unwrap();
    assert_says(&status_json(&other, 6).await, &["nothing was ever fetched", "`fetcher check`"]);
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_loaders_rights_are_enough_to_look() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let fetched = guarded.fetcher(&[]).run().await.unwrap();
    assert_eq!(fetched.code, Some(0), "{fetched:#?}");
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    ended(guarded.loader(&["status"]), 0).await;

    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    let fetched = guarded.fetcher(&[]).run().await.unwrap();
    assert_eq!(fetched.code, Some(0), "{fetched:#?}");
    let finished = ended(guarded.loader(&["status"]), 6).await;
    assert!(finished.stdout.contains("no loader is at work"), "{}", finished.stdout);
    let log = guarded.world.nats.log();
    assert!(!log.contains("Violation"), "{log}");
}
