//! The fetcher by its own plan.

use jiff::Timestamp;
use tests::servers::DEADLINE;
use tests::toggl::{Account, QuotaLimits};
use tests::workers::{Resident, Worker};
use tests::world::World;

use crate::expected::endings::assert_misused;

const PROJECTS: &str = "/api/v9/workspaces/2230991/projects";
const ENTRIES: &str = "/api/v9/me/time_entries";

async fn world(me: u32) -> World {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.limit_quota(QuotaLimits { me, organization: 30, ..QuotaLimits::default() });
    world
}

async fn auto(world: &World, arguments: &[&str]) -> Resident {
    world.fetcher(&[&["schedule", "auto"], arguments].concat()).start().await.unwrap()
}

async fn said(scheduler: &Resident, words: &[&str]) {
    for words in words {
        scheduler.logged(words, DEADLINE).await.unwrap();
    }
}

async fn ends(scheduler: &Resident) {
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
    assert!(scheduler.log().trim_end().ends_with("Stopped"), "{}", scheduler.log());
}

#[tokio::test]
async fn it_says_its_plan_reads_everything_and_proves_it_and_then_asks_for_changes_alone() {
    let world = world(30).await;
    let scheduler = auto(&world, &[]).await;
    said(
        &scheduler,
        &[
            "The next run (sync) is at ",
            "The run (sync) has ended well",
            "Plan: Of user 2166398's own requests at most 22 an hour (of 30)",
            "Plan: Of the requests of organisation 2108152 at most 22 an hour (of 30)",
            "Plan: Everything, whole: about every 12h, ",
            "Plan: Toggl's own sums against the tables: about every 1day, ",
            "The run (verification) has ended well",
            "The next run (changes) is at ",
        ],
    )
    .await;
    ends(&scheduler).await;
}

#[tokio::test]
async fn what_an_earlier_process_has_read_is_not_read_again() {
    let world = world(30).await;
    world.sync(&[]).await.unwrap();
    world.sync(&["verify"]).await.unwrap();
    let before = world.toggl.count(PROJECTS);
    let scheduler = auto(&world, &[]).await;
    said(&scheduler, &["The next run (changes) is at "]).await;
    assert!(!scheduler.log().contains("(sync) is at"), "{}", scheduler.log());
    ends(&scheduler).await;
    assert_eq!(world.toggl.count(PROJECTS), before);
}

#[tokio::test]
async fn it_waits_for_a_reset_rather_than_be_refused() {
    let world = world(4).await;
    let scheduler = auto(&world, &["--verify", "off"]).await;
    said(&scheduler, &["The run (sync) has ended well", "own requests last until then"]).await;
    ends(&scheduler).await;
    assert_eq!(world.toggl.count(ENTRIES), 2, "a window, and the changes of the sync");
    let refused = world.toggl.requests().into_iter().filter(|r| r.status == Some(402)).count();
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn where_nats_is_away_one_run_finds_out_and_the_others_wait_with_it() {
    let world = world(30).await;
    world.nats.stop().await.unwrap();
    let scheduler = auto(&world, &[]).await;
    said(&scheduler, &["The run (sync) has ended with exit code 5"]).await;
    said(&scheduler, &["NATS or Postgres is out of reach"]).await;
    ends(&scheduler).await;
    assert_eq!(scheduler.log().matches(" has ended with ").count(), 1, "{}", scheduler.log());
}

#[tokio::test]
async fn a_command_behind_it_is_refused_at_the_start() {
    let bad = Worker::new("fetcher", &["schedule", "auto", "--", "report", "--days", "3"]);
    assert_misused(&bad.run().await.unwrap(), &["chooses the commands itself"]);
}
