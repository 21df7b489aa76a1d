//! The only time-outs of a request are those that are set.

use std::time::Duration;

use jiff::Timestamp;
use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer};
use tests::world::World;

/// Longer than the half minute that HTTP clients like to take for silence.
const LONG: Duration = Duration::from_secs(31);

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

#[tokio::test]
async fn an_answer_may_be_silent_for_as_long_as_the_setting_allows() {
    let world = world().await;
    // Before its first byte, and in the middle.
    world.toggl.script("/api/v9/workspaces/{w}/tags", Answer::pass_through().delay(LONG));
    let halves = Answer::json(r#"[{"id":1,"wid":1,"name":"one"}]"#).trickle(20, LONG);
    world.toggl.script("/api/v9/workspaces/{w}/clients", halves);
    let fetcher = world.fetcher(&[]).env("TOGGL_TIMEOUT", "120s");
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains(r#""clients":1"#), "{}", finished.stdout);
    assert!(!finished.stderr.contains("one more try"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_pause_after_429_may_be_as_long_as_a_wait_for_a_quota() {
    let pause = || Answer::status(429).header("retry-after", "400").forever();
    let refused = world().await;
    refused.toggl.script("/api/v9/me", pause());
    let finished = refused.fetcher(&[]).run().await.unwrap();
    crate::expected::endings::assert_fails(&finished, 1, &["429", "6m 40s"]);

    let patient = world().await;
    patient.toggl.script("/api/v9/me", pause());
    let waiting = patient.fetcher(&[]).env("TOGGL_MAX_WAIT", "10m").start().await.unwrap();
    waiting.logged("waiting 400.0 s", DEADLINE).await.unwrap();
    assert_eq!(waiting.exit_code(), None);
    waiting.terminate().await.unwrap();
}
