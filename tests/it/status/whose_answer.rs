//! Which pipeline answers, how old what it loads may be, and whether its numbers are of now.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use tests::servers::wait_for;
use tests::toggl::Account;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::given::watched::{Watched, assert_says, ended, status, status_json};

const DEADLINE: std::time::Duration = std::time::Duration::from_mins(2);

async fn sample() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// Host, port and name of its database, and host and port of its NATS.
fn names(world: &World) -> (String, String) {
    let database = format!("127.0.0.1:{}/{}", world.postgres().port(), world.database.name);
    (database, world.nats.url().trim_start_matches("nats://").to_owned())
}

#[tokio::test]
async fn page_status_health_and_metrics_name_the_pipeline_and_no_login() {
    let world = sample().await;
    world.sync_and_load(&[]).await.unwrap();
    let watched = Watched::start(&world).await;
    let (database, nats) = names(&world);
    let version = env!("CARGO_PKG_VERSION");
    let all = [&*database, &nats, "TOGGL_TRACK_RAW", version, "started"];
    let mut answers = vec![
        watched.answers("/", 200, &all).await,
        watched.answers("/healthz", 200, &all).await,
        watched.answers("/readyz", 200, &all).await,
    ];
    let info = format!(
        "build_info{{version=\"{version}\",database=\"{database}\",stream=\"TOGGL_TRACK_RAW\"}} 1"
    );
    answers.push(watched.answers("/metrics", 200, &[&info]).await);
    let healthcheck = world.loader(&["healthcheck", "--http", &watched.address]);
    answers.push(ended(healthcheck, 0).await.stdout);
    answers.push(status(&world, 0).await.stdout);
    assert!(answers[4..].iter().all(|answer| all[..4].iter().all(|name| answer.contains(name))));
    let found = status_json(&world, 0).await["pipeline"].clone();
    assert_eq!((&found["database"], &found["nats"]), (&database.into(), &nats.into()));
    assert_eq!((&found["stream"], &found["version"]), (&"TOGGL_TRACK_RAW".into(), &version.into()));
    assert_eq!(found["started_at"], Value::Null, "nothing was started by looking");
    assert!(answers.iter().all(|answer| !answer.contains("postgres@") && !answer.contains("://")));
}

#[tokio::test]
async fn another_pipelines_loader_is_not_taken_for_ones_own() {
    let (ours, theirs) = (sample().await, sample().await);
    let watched = Watched::start(&theirs).await;
    watched.answers("/readyz", 200, &["ok"]).await;
    let ask = |world: &World| world.loader(&["healthcheck", "--http", &watched.address]);
    ended(ask(&theirs), 0).await;
    let (our_database, our_nats) = names(&ours);
    let (their_database, their_nats) = names(&theirs);
    let words = ["another pipeline's", &*their_database, &our_database];
    assert_fails(&ask(&ours).run().await.unwrap(), 1, &words);
    let half = ask(&ours).without("DATABASE_URL").run().await.unwrap();
    assert_fails(&half, 1, &["another pipeline's", &their_nats, &our_nats]);
    // Who does not say what is expected is told whose answer it is.
    let bare = ended(ask(&ours).without("DATABASE_URL").without("NATS_URL"), 0).await;
    assert!(bare.stdout.contains(&their_database), "{}", bare.stdout);
}

#[tokio::test]
async fn each_table_has_its_age_and_status_health_and_metrics_hold_it_against_a_limit() {
    let world = sample().await;
    world.sync_and_load(&[]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let mut age = async |resource: &str, hours: i64| {
        let sql = format!(
            "update raw.toggl_track__loads set fetched_at = now() - interval '{hours} hours'
             where resource = '{resource}'"
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    };
    age("time_entries", 3).await;
    status(&world, 0).await;
    let late = |arguments: &[&str]| world.loader(&[&["status", "--json"], arguments].concat());
    let finished = ended(late(&["--max-age", "2h"]), 6).await;
    let found = serde_json::from_str(&finished.stdout).unwrap();
    assert_says(&found, &["too long not fetched: time_entries (last ", ", 3h ago)"]);
    ended(late(&[]).env("LOADER_MAX_AGE", "2h"), 6).await;
    ended(late(&["--max-age", "4h"]), 0).await;
    assert_misused(&late(&["--max-age", "0s"]).run().await.unwrap(), &["between 1m and 366d"]);
    // One list that is read no more, while everything else is.
    age("tags", 27).await;
    assert_says(&status_json(&world, 6).await, &["too long not fetched: tags (last "]);
    age("tags", 25).await;
    status(&world, 0).await;

    let watched = Watched::start(&world).await;
    watched.answers("/readyz", 200, &["ok"]).await;
    let words = ["time_entries (last "];
    watched.answers("/readyz?max_age=2h", 503, &words).await;
    watched.answers("/readyz?max_age=4h", 200, &["ok"]).await;
    watched.answers("/readyz?max_age=long", 400, &["max_age"]).await;
    let ask = |age| world.loader(&["healthcheck", "--http", &watched.address, "--max-age", age]);
    assert_fails(&ask("2h").run().await.unwrap(), 1, &words);
    ended(ask("4h"), 0).await;
    let text = watched.answer("/metrics").await.1;
    let name = "toggl_track_loader_fetched_age_seconds{resource=\"time_entries\"} ";
    let seconds = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!((10_800.0..11_400.0).contains(&seconds.parse::<f64>().unwrap()), "{seconds}");
    assert!(!text.contains("fetched_age_seconds{resource=\"tasks\"}"), "never fetched, no age");
    drop(watched);
    let strict = world.loader(&["--http", "127.0.0.1:0"]).env("LOADER_MAX_AGE", "2h");
    Watched::of(strict).await.answers("/", 200, &words).await;
}

/// When the loader looked.
fn seen(page: &str) -> Option<&str> {
    page.split("Seen ").nth(1)?.split(" UTC").next()
}

/// The page after the next look.
async fn next_look(watched: &Watched, before: &str) -> String {
    let renewed = || async {
        let page = watched.answer("/").await.1;
        (seen(&page) != seen(before)).then_some(page)
    };
    wait_for("the next look", DEADLINE, renewed).await.unwrap()
}

#[tokio::test]
async fn the_page_counts_again_what_was_loaded_since_it_counted() {
    let world = sample().await;
    let watched = Watched::start(&world).await;
    // Whoever watches the first sync has counted nothing, and that just now.
    watched.answers("/", 200, &["rows counted"]).await;
    world.sync(&[]).await.unwrap();
    world.loaded().await.unwrap();
    // Two looks later, the first of which may have been under way.
    let mut page = String::new();
    for _ in 0..3 {
        page = next_look(&watched, &page).await;
    }
    let row = page.split("<td>time_entries</td>").nth(1).unwrap();
    let rows = row.split("data-label=\"Live\">").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(rows, "6", "{page}");
}
