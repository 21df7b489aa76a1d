//! The fetcher by its own clock.

use std::time::Duration;

use tests::toggl::{Account, Answer};
use tests::workers::{Resident, Worker};
use tests::world::World;

use crate::endings::{assert_fails, assert_misused};

const DEADLINE: Duration = Duration::from_mins(1);
const TAGS: &str = "/api/v9/workspaces/2230991/tags";
const EVERY_SECOND: &str = "* * * * * *";

async fn world() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

async fn scheduled(world: &World, arguments: &[&str]) -> Resident {
    world.fetcher(&[&["schedule", EVERY_SECOND, "--"], arguments].concat()).start().await.unwrap()
}

fn count(scheduler: &Resident, words: &str) -> usize {
    scheduler.log().matches(words).count()
}

#[tokio::test]
async fn it_syncs_again_and_again_until_sigterm_and_never_twice_at_once() {
    let world = world().await;
    let scheduler = scheduled(&world, &["--days", "1"]).await;
    scheduler.logged("The next run is at ", DEADLINE).await.unwrap();
    let thrice = || async { (count(&scheduler, "The run has ended well") >= 3).then_some(()) };
    tests::servers::wait_for("three runs", DEADLINE, thrice).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
    let log = scheduler.log();
    // A second run at the same time would find the first.
    assert!(!log.contains("Another run of this account"), "{log}");
    assert!(log.trim_end().ends_with("Stopped"), "{log}");
}

#[tokio::test]
async fn a_run_that_fails_does_not_keep_the_next_from_coming() {
    let world = world().await;
    let scheduler = scheduled(&world, &["--account", "nobody"]).await;
    let twice = || async { (count(&scheduler, "ended with exit code 3") >= 2).then_some(()) };
    tests::servers::wait_for("two runs", DEADLINE, twice).await.unwrap();
    assert_eq!(scheduler.exit_code(), None);
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
}

#[tokio::test]
async fn sigterm_during_a_run_ends_that_in_order_first() {
    let world = world().await;
    let slow = Answer::pass_through().delay(DEADLINE);
    world.toggl.script(TAGS, slow);
    let scheduler = scheduled(&world, &[]).await;
    scheduler.logged("Starting Toggl Track", DEADLINE).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
    let log = scheduler.log();
    assert!(log.contains("error: interrupted"), "{log}");
    assert!(log.trim_end().ends_with("Stopped"), "{log}");
}

#[tokio::test]
async fn what_is_no_schedule_is_refused_at_the_start() {
    let bad = Worker::new("fetcher", &["schedule", "every hour"]).run().await.unwrap();
    assert_misused(&bad, &["every hour"]);
    let never = Worker::new("fetcher", &["schedule", "0 0 31 2 *"]).run().await.unwrap();
    assert_fails(&never, 2, &["0 0 31 2 *", "never comes"]);
}
