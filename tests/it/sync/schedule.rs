//! The fetcher by its own clock.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer};
use tests::workers::{Resident, Worker};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};

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
    let scheduler = world.fetcher(&["schedule", EVERY_SECOND]).env("TOGGL_API_TOKEN", "wr0ngt0ken");
    let scheduler = scheduler.start().await.unwrap();
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

#[tokio::test]
async fn a_schedule_that_could_never_log_in_is_refused_at_the_start() {
    for when in ["auto", "17 * * * *"] {
        let without = Worker::new("fetcher", &["schedule", when]).run().await.unwrap();
        assert_fails(&without, 3, &["no Toggl credentials", "TOGGL_API_TOKEN"]);
        let file = ["schedule", when, "--", "--api-token-file", "/nowhere/token"];
        let file = Worker::new("fetcher", &file).run().await.unwrap();
        assert_fails(&file, 3, &["/nowhere/token"]);
        let address = Worker::new("fetcher", &["schedule", when]).env("DATABASE_URL", "mysql://db");
        let address = address.run().await.unwrap();
        assert_fails(&address, 2, &["DATABASE_URL"]);
    }
}

/// A program of its own, which may be replaced while it runs.
async fn installed(folder: &Path) -> PathBuf {
    let file = folder.join("fetcher");
    std::fs::copy(tests::workers::folder().await.unwrap().join("fetcher"), &file).unwrap();
    file
}

async fn ended_well(scheduler: &Resident, times: usize) {
    let seen = || async { (count(scheduler, "has ended well") >= times).then_some(()) };
    let waited = tests::servers::wait_for("runs that end well", DEADLINE, seen).await;
    waited.unwrap_or_else(|error| panic!("{error}: {}", scheduler.log()));
}

#[tokio::test]
async fn it_goes_on_with_the_program_that_stands_there_after_an_upgrade() {
    let (world, folder) = (world().await, tempfile::tempdir().unwrap());
    let file = installed(folder.path()).await;
    let words = ["schedule", EVERY_SECOND, "--", "--only", "tags"];
    let scheduler = world.fetcher(&words).program(&file).start().await.unwrap();
    ended_well(&scheduler, 1).await;
    // As packages and `cargo install` do it: another file by the same name.
    let next = folder.path().join("next");
    std::fs::write(&next, "#!/bin/sh\necho the new one >&2\n").unwrap();
    std::fs::set_permissions(&next, Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&next, &file).unwrap();
    scheduler.logged("the new one", DEADLINE).await.unwrap();
    // Half an upgrade: no program, and then one that cannot be run.
    std::fs::remove_file(&file).unwrap();
    scheduler.logged("Could not start ", DEADLINE).await.unwrap();
    std::fs::write(&file, "").unwrap();
    scheduler.logged("ermission denied", DEADLINE).await.unwrap();
    assert_eq!(scheduler.exit_code(), None);
    let before = count(&scheduler, "has ended well");
    std::fs::remove_file(&file).unwrap();
    installed(folder.path()).await;
    ended_well(&scheduler, before + 2).await;
    // Once for each reason; a copy that is still being written is one, too.
    assert!((2..=4).contains(&count(&scheduler, "Could not start ")), "{}", scheduler.log());
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
}

#[tokio::test]
async fn it_can_be_stopped_while_there_is_no_program_to_start() {
    let (world, folder) = (world().await, tempfile::tempdir().unwrap());
    let file = installed(folder.path()).await;
    let words = ["schedule", EVERY_SECOND, "--", "--only", "tags"];
    let scheduler = world.fetcher(&words).program(&file).start().await.unwrap();
    ended_well(&scheduler, 1).await;
    std::fs::remove_file(&file).unwrap();
    scheduler.logged("Could not start ", DEADLINE).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
    assert!(scheduler.log().trim_end().ends_with("Stopped"), "{}", scheduler.log());
}

#[tokio::test]
async fn times_that_pass_during_a_run_are_left_out_and_it_says_so() {
    let world = world().await;
    world.toggl.script(TAGS, Answer::pass_through().delay(Duration::from_secs(3)));
    let scheduler = scheduled(&world, &["--only", "tags"]).await;
    scheduler.logged("due meanwhile are left out", DEADLINE).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
    assert!(!scheduler.log().contains("Another run of this account"), "{}", scheduler.log());
}

#[tokio::test]
async fn a_zone_that_is_none_is_refused_at_the_start() {
    let bad = Worker::new("fetcher", &["schedule"]).env("TZ", "Europe/Berlni");
    assert_fails(&bad.run().await.unwrap(), 2, &["TZ", "Europe/Berlin"]);
    let world = world().await;
    for (zone, shown) in [("Europe/Berlin", " CE"), ("Asia/Kolkata", " IST"), ("", " UTC")] {
        let scheduler = world.fetcher(&["schedule"]).env("TZ", zone).start().await.unwrap();
        scheduler.logged(&format!(":17:00{shown}"), DEADLINE).await.unwrap();
        assert_eq!(scheduler.terminate().await.unwrap(), Some(0));
    }
}
