//! `fetcher check` and `loader check`: each thing is tried, and what does not work comes with what
//! mends it.

use shared::stream::STREAM;
use sqlx::Executor as _;
use tests::toggl::Account;
use tests::workers::{Finished, Worker};
use tests::world::World;

use crate::given::guarded::Guarded;

/// No server listens there.
const NOWHERE: &str = "nats://127.0.0.1:1";

async fn world() -> World {
    World::start_empty(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

async fn checked(worker: Worker, code: i32) -> Finished {
    let finished = worker.run().await.unwrap();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}

/// The line that says what does not work has all these words, and there is one such line.
fn assert_names(finished: &Finished, words: &[&str]) {
    let failed: Vec<&str> =
        finished.stdout.lines().filter(|line| line.starts_with("[FAIL] ")).collect();
    assert_eq!(failed.len(), 1, "{finished:#?}");
    for word in words {
        assert!(failed[0].contains(word), "{word:?} is not in {}", failed[0]);
    }
}

fn assert_all_good(finished: &Finished, lines: usize) {
    assert!(!finished.stdout.contains("[FAIL]"), "{finished:#?}");
    assert_eq!(finished.stdout.matches("[OK]").count(), lines, "{finished:#?}");
}

async fn traces(world: &World) -> (u64, usize) {
    let stream = world.jetstream().await.unwrap().get_stream(STREAM).await.unwrap();
    let state = &stream.cached_info().state;
    (state.last_sequence, state.consumer_count)
}

#[tokio::test]
async fn where_everything_is_in_order_both_say_so_and_leave_no_trace() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let before = traces(&guarded.world).await;
    assert_all_good(&checked(guarded.fetcher(&["check"]), 0).await, 4);
    assert_all_good(&checked(guarded.loader(&["check"]), 0).await, 5);
    assert_eq!(traces(&guarded.world).await, before);
    let violations = guarded.world.nats.log().matches("Violation").count();
    assert_eq!(violations, 0, "{}", guarded.world.nats.log());
}

#[tokio::test]
async fn before_an_administrator_has_set_up_both_name_the_command() {
    let guarded = Guarded::start().await;
    let mut connection = guarded.world.connect().await.unwrap();
    connection.execute("drop schema if exists raw, staging cascade").await.unwrap();
    let fetcher = checked(guarded.fetcher(&["check"]), 5).await;
    assert!(fetcher.stdout.contains("Toggl takes the API token"), "{fetcher:#?}");
    assert!(fetcher.stdout.contains("`loader setup`"), "{fetcher:#?}");
    let loader = checked(guarded.loader(&["check"]), 1).await;
    assert!(loader.stdout.matches("`loader setup`").count() >= 2, "{loader:#?}");
}

#[tokio::test]
async fn one_thing_that_is_away_does_not_keep_the_others_from_being_tried() {
    let world = world().await;
    let nats = checked(world.fetcher(&["check"]).env("NATS_URL", NOWHERE), 5).await;
    assert_names(&nats, &["NATS_URL"]);
    assert!(nats.stdout.contains("2230991"), "{nats:#?}");
    let token = checked(world.fetcher(&["check"]).env("TOGGL_API_TOKEN", "wr0ng"), 3).await;
    assert_names(&token, &["API token"]);
    assert!(token.stdout.contains("the next sync makes it"), "{token:#?}");
    let nats = checked(world.loader(&["check"]).env("NATS_URL", NOWHERE), 5).await;
    assert_names(&nats, &["NATS_URL"]);
    let postgres = world.loader(&["check"]).env("DATABASE_URL", "postgres://u@127.0.0.1:1/d");
    let postgres = checked(postgres, 5).await;
    assert_names(&postgres, &["DATABASE_URL"]);
    assert!(postgres.stdout.contains("the next start makes it"), "{postgres:#?}");
}

#[tokio::test]
async fn a_table_that_the_loader_may_not_write_is_named() {
    let guarded = Guarded::start().await;
    guarded.set_up().await;
    let mut connection = guarded.world.connect().await.unwrap();
    connection
        .execute(
            "alter table raw.toggl_track__tags owner to current_user;
             revoke all on raw.toggl_track__tags from toggl_track_loader",
        )
        .await
        .unwrap();
    let finished = checked(guarded.loader(&["check"]), 1).await;
    assert_names(&finished, &["raw.toggl_track__tags", "`migrations/roles.sql`"]);
}

#[tokio::test]
async fn an_empty_database_is_in_order_where_the_loader_may_fill_it() {
    let world = world().await;
    let finished = checked(world.loader(&["check"]), 0).await;
    assert!(finished.stdout.contains("the next start"), "{finished:#?}");
}
