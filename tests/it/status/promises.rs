//! How old each table gets at most: promised by whoever starts the runs, told everywhere, and noticed when it does not
//! hold.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::assert_misused;
use crate::given::watched::{Watched, status, status_json};

async fn sample() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// What the view of freshness says of a table: seconds, and whether that holds.
async fn view(world: &World, resource: &str) -> (Option<i64>, Option<bool>) {
    let mut connection = world.connect().await.unwrap();
    sqlx::query_as(
        "select extract(epoch from promised_age)::bigint, is_promise_kept
         from staging.stg_toggl_track__freshness where resource = $1",
    )
    .bind(resource)
    .fetch_optional(&mut connection)
    .await
    .unwrap()
    .unwrap_or_default()
}

/// As if all of a table had been read so much earlier.
async fn age(world: &World, resource: &str, time: &str) {
    let mut connection = world.connect().await.unwrap();
    let sql = format!(
        "update raw.toggl_track__loads set fetched_at = fetched_at - interval '{time}'
         where resource = '{resource}'"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

async fn of_table(world: &World, code: i32, name: &str) -> Value {
    let status = status_json(world, code).await;
    let lines = status["resources"].as_array().unwrap();
    lines.iter().find(|line| line["resource"] == name).unwrap().clone()
}

#[tokio::test]
async fn what_is_promised_is_told_by_view_status_page_and_metrics_and_so_is_that_it_does_not_hold()
{
    let world = sample().await;
    world.sync_and_load(&["--promise", "70m,time_entries=5m"]).await.unwrap();
    assert_eq!(view(&world, "tags").await, (Some(4_200), Some(true)));
    let entries = of_table(&world, 0, "time_entries").await;
    assert_eq!(entries["promised_age_seconds"], json!(300));
    assert_eq!(entries["is_promise_kept"], json!(true));
    let words = "Promised: time_entries within 5m; me, workspaces, projects, clients, tags, users, groups \
                 within 1h 10m; kept";
    assert!(status(&world, 0).await.stdout.contains(words));

    age(&world, "time_entries", "20 minutes").await;
    assert_eq!(view(&world, "time_entries").await, (Some(300), Some(false)));
    let told = status(&world, 6).await.stdout;
    assert!(told.contains("; not kept\n"), "{told}");
    assert!(told.contains("older than promised: time_entries (last "), "{told}");
    let watched = Watched::start(&world).await;
    watched.answers("/", 200, &["older than promised", "not kept"]).await;
    let label = "{resource=\"time_entries\"}";
    let metrics = [
        format!("toggl_track_loader_promised_age_seconds{label} 300"),
        format!("toggl_track_loader_promise_kept{label} 0"),
        "toggl_track_loader_promise_kept{resource=\"tags\"} 1".to_owned(),
    ];
    watched.answers("/metrics", 200, &metrics.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn a_promise_that_nobody_has_repeated_for_a_day_is_none_and_neither_is_a_run_by_hand() {
    let world = sample().await;
    world.sync_and_load(&["--promise", "5m"]).await.unwrap();
    age(&world, "tags", "25 hours 50 minutes").await;
    assert_eq!(view(&world, "tags").await, (Some(300), Some(false)));
    age(&world, "tags", "20 minutes").await;
    assert_eq!(view(&world, "tags").await, (None, None));
    world.sync_and_load(&[]).await.unwrap();
    assert_eq!(view(&world, "tags").await, (None, None));
    assert_eq!(view(&world, "clients").await, (Some(300), Some(true)), "it still holds");
}

#[tokio::test]
async fn a_look_that_finds_no_change_makes_the_table_younger() {
    let world = sample().await;
    world.sync_and_load(&[]).await.unwrap();
    for (resource, arguments) in
        [("time_entries", &["changes"][..]), ("projects", &["changes", "--lists"])]
    {
        age(&world, resource, "2 hours").await;
        world.sync_and_load(&[arguments, &["--promise", "5m"]].concat()).await.unwrap();
        assert_eq!(view(&world, resource).await, (Some(300), Some(true)), "{resource}");
    }
}

#[tokio::test]
async fn schedules_promise_by_themselves_what_nobody_has() {
    for (schedule, tags, entries) in [
        (&["schedule", "* * * * * *"][..], 300, 300),
        (&["--promise", "2h", "schedule", "* * * * * *"], 7_200, 7_200),
        // Before it knows what runs take, it is careful with what it promises of entries.
        (&["schedule", "auto", "--verify", "off"], 3_300, 600),
    ] {
        let world = sample().await;
        let loader = world.start_loader().await.unwrap();
        let scheduler = world.fetcher(schedule).start().await.unwrap();
        scheduler.logged("has ended well", DEADLINE).await.unwrap();
        let told = || async {
            let found = [view(&world, "tags").await, view(&world, "time_entries").await];
            (found == [(Some(tags), Some(true)), (Some(entries), Some(true))]).then_some(())
        };
        wait_for("the promise", DEADLINE, told).await.unwrap();
        assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
        assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    }
}

#[tokio::test]
async fn what_is_no_promise_is_refused_at_the_start() {
    for (promise, words) in
        [("soon", "90s, 5m, 2h or 30d"), ("5", "90s, 5m"), ("tag=5m", "there is no resource tag")]
    {
        let bad = Worker::new("fetcher", &["changes", "--promise", promise]);
        assert_misused(&bad.run().await.unwrap(), &[words]);
    }
}
