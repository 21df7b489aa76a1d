//! Reports that are killed, interrupted or stopped by a quota: the same command goes on where they were.

use std::time::Duration;

use tests::servers::DEADLINE;
use tests::toggl::{Account, Answer, QuotaLimits};
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::reports::reporting::{
    REPORT, REPORTS, days_ago, live_ids, load, questions, reported, team,
};

#[tokio::test]
async fn a_report_that_was_killed_goes_on_where_it_was() {
    let world = World::start(Account::generate(&team(50_000))).await.unwrap();
    let from = days_ago(3 * 365 + 2);
    // Slow answers make sure that the kill comes in the middle.
    let slow = Answer::pass_through().delay(Duration::from_millis(100));
    world.toggl.script(REPORT, slow.forever());
    let fetcher = world.fetcher(&["report", "--from", &from]).start().await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), world.toggl.wait_for(REPORTS, 9)).await.unwrap();
    fetcher.kill9().unwrap();
    let before = questions(&world);

    world.toggl.clear_scripts();
    world.sync(&["report", "--from", &from]).await.unwrap();
    load(&world).await;

    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
    let after = questions(&world).split_off(before.len());
    // The last one was on its way, the one before may not have been written down.
    let acknowledged = &before[..before.len() - 2];
    for question in &after {
        assert!(!acknowledged.contains(question), "asked again: {question}");
    }
    assert_eq!(world.toggl.count(REPORTS), before.len() + after.len());
}

#[tokio::test]
async fn a_report_that_is_interrupted_says_so_and_restart_begins_anew() {
    let world = World::start(Account::generate(&team(20_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.toggl.script(REPORT, Answer::pass_through().delay(Duration::from_millis(100)).forever());
    let fetcher = world.fetcher(&arguments).start().await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), world.toggl.wait_for(REPORTS, 5)).await.unwrap();
    fetcher.signal("INT").unwrap();
    assert_eq!(fetcher.ended(DEADLINE).await.unwrap(), Some(1));
    assert!(fetcher.log().contains("interrupted"), "{}", fetcher.log());
    let first = questions(&world)[0].clone();

    world.toggl.clear_scripts();
    let again = world.sync(&arguments).await.unwrap();
    assert!(again.stderr.contains("Going on with the report"), "{}", again.stderr);
    assert_eq!(questions(&world).iter().filter(|question| **question == first).count(), 1);

    world.sync(&[&arguments[..], &["--restart"]].concat()).await.unwrap();
    assert_eq!(questions(&world).iter().filter(|question| **question == first).count(), 2);
    load(&world).await;
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

#[tokio::test]
async fn a_report_stopped_by_the_quota_ends_with_4_and_goes_on_after_the_reset() {
    let world = World::start(Account::generate(&team(40_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.toggl.limit_quota(QuotaLimits { organization: 30, ..QuotaLimits::default() });
    let finished = world.fetcher(&arguments).run().await.unwrap();
    assert_fails(&finished, 4, &["quota", "come back in ", "goes on"]);
    let first = world.toggl.count(REPORTS);
    load(&world).await;
    let sent = live_ids(&world).await;
    assert!(sent.len() > 20_000, "everything that was fetched is sent: {}", sent.len());

    let finished = world.fetcher(&arguments).run().await.unwrap();
    assert_fails(&finished, 4, &["quota"]);
    assert_eq!(world.toggl.count(REPORTS), first, "asked in vain");

    world.toggl.advance_quota_clock(Duration::from_hours(1));
    forget_the_reset(&world).await;
    world.sync(&arguments).await.unwrap();
    load(&world).await;
    assert_eq!(live_ids(&world).await, world.toggl.with_account(|account| reported(account)));
}

/// The simulator's hour has passed, the fetcher's clock has not moved.
pub(crate) async fn forget_the_reset(world: &World) {
    let user_id = world.toggl.with_account(|account| account.user_id());
    let context = world.jetstream().await.unwrap();
    let bucket = context.get_key_value(fetcher::state::BUCKET).await.unwrap();
    bucket.purge(format!("limits.{user_id}")).await.unwrap();
}
