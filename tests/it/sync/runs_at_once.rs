//! Two runs of one account at the same time: the second waits for the first, leaves it to it, or
//! fails; and where neither knows of the other, nothing is wrong.

use std::time::Duration;

use tests::proxy::Proxy;
use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer};
use tests::workers::Resident;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::assert_tables_hold;

const TAGS: &str = "/api/v9/workspaces/2230991/tags";
const REPORTS: &str = "/reports/api/v3/workspace/2230991/search/time_entries";
/// What the second run of the same account says first.
const SEEN: &str = "Another run of this account is there (process";

/// A sync that waits so long for its tags, and holds the lease.
async fn busy(delay: Duration) -> (World, Resident) {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let first = begin(&world, TAGS, &["--days", "60"], delay).await;
    (world, first)
}

async fn begin(world: &World, path: &str, arguments: &[&str], delay: Duration) -> Resident {
    world.toggl.script(path, Answer::pass_through().delay(delay));
    let first = world.fetcher(arguments).start().await.unwrap();
    world.toggl.wait_for(path, 1).await;
    first
}

async fn succeeds(first: &Resident) {
    assert_eq!(first.ended(DEADLINE).await.unwrap(), Some(0), "{}", first.log());
}

#[tokio::test]
async fn the_second_run_waits_for_the_first() {
    let (world, first) = busy(Duration::from_secs(4)).await;
    let second = world.fetcher(&[]).start().await.unwrap();
    second.logged(SEEN, DEADLINE).await.unwrap();
    assert_eq!(world.toggl.count(TAGS), 1);
    succeeds(&first).await;
    succeeds(&second).await;
    assert_eq!(world.toggl.count(TAGS), 2);
}

#[tokio::test]
async fn a_wait_ends_with_max_wait() {
    let (world, first) = busy(Duration::from_secs(12)).await;
    let second = world.fetcher(&["--max-wait", "6s"]).run().await.unwrap();
    assert_fails(&second, 1, &["another run", "6s", "--if-running"]);
    assert_eq!(world.toggl.count(TAGS), 1);
    succeeds(&first).await;
}

#[tokio::test]
async fn the_second_run_fails_if_it_is_to_fail() {
    let (world, first) = busy(Duration::from_secs(10)).await;
    let second = world.fetcher(&["--if-running", "fail"]).run().await.unwrap();
    assert_fails(&second, 1, &["another run (sync)", &format!("process {}", first.pid())]);
    succeeds(&first).await;
}

#[tokio::test]
async fn a_report_keeps_no_sync_waiting_and_no_sync_a_report() {
    let (world, sync) = busy(Duration::from_secs(10)).await;
    let days = ["report", "--from", "2026-11-01", "--to", "2026-11-02", "--if-running", "fail"];
    let report = begin(&world, REPORTS, &days, Duration::from_secs(8)).await;
    let second = world.fetcher(&days).run().await.unwrap();
    assert_fails(&second, 1, &["another run (report)", &format!("process {}", report.pid())]);
    succeeds(&sync).await;
    succeeds(&report).await;
}

#[tokio::test]
async fn the_second_run_leaves_it_to_the_first_if_it_is_to_skip_which_is_no_success_to_build_on() {
    let (world, first) = busy(Duration::from_secs(10)).await;
    let skip = |arguments| world.fetcher(arguments).env("FETCHER_IF_RUNNING", "skip").run();
    let (plain, waiting) = futures::try_join!(skip(&[]), skip(&["--wait"])).unwrap();
    for (second, code) in [(plain, 0), (waiting, 6)] {
        assert_eq!(second.code, Some(code), "{second:#?}");
        assert!(second.stdout.starts_with("[SKIPPED] another run"), "{}", second.stdout);
    }
    assert_eq!(world.toggl.count(TAGS), 1);
    succeeds(&first).await;
}

#[tokio::test]
async fn a_killed_run_does_not_keep_the_next_from_its_work() {
    let (world, first) = busy(Duration::from_mins(1)).await;
    first.kill9().unwrap();
    let second = world.fetcher(&["--if-running", "skip"]).run().await.unwrap();
    assert_eq!(second.code, Some(0), "{second:#?}");
    assert!(second.stdout.starts_with("[OK]"), "{}", second.stdout);
    assert!(second.stderr.contains("has crashed"), "{}", second.stderr);
}

#[tokio::test]
async fn a_run_that_did_not_hear_that_it_has_the_lease_knows_it_for_its_own() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let proxy = Proxy::start(world.nats.port()).await.unwrap();
    proxy.lose_replies("PUB $KV.toggl_track_state.lease.", 1);
    let fetcher = world.fetcher(&["--if-running", "fail"]).env("NATS_URL", proxy.nats_url());
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(proxy.lost_replies(), 1);
    assert!(!finished.stderr.contains(SEEN), "{}", finished.stderr);
}

#[tokio::test]
async fn a_run_that_ends_in_any_other_way_leaves_no_trace() {
    let (world, first) = busy(Duration::from_mins(1)).await;
    assert_eq!(first.terminate().await.unwrap(), Some(1), "{}", first.log());
    let next = async |code| {
        let finished = world.fetcher(&["--if-running", "fail"]).run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        assert!(!finished.stderr.contains(SEEN), "{}", finished.stderr);
    };
    world.toggl.script(TAGS, Answer::status(500).repeat(2));
    next(1).await;
    world.toggl.script("/api/v9/me/time_entries", Answer::status(401));
    next(3).await;
    next(0).await;
    next(0).await;
}

#[tokio::test]
async fn two_runs_that_do_not_know_of_each_other_are_harmless() {
    let (world, first) = busy(Duration::from_secs(10)).await;
    world.forget_lease().await.unwrap();
    // It holds the lease when the first comes to renew it.
    let second = begin(&world, TAGS, &["--days", "60"], Duration::from_secs(8)).await;
    succeeds(&second).await;
    succeeds(&first).await;
    assert!(first.log().contains("which is harmless"), "{}", first.log());
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
    assert_tables_hold(&world).await;
}
