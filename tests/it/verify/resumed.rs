//! What a quota interrupts, and what runs by the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::{Account, QuotaLimits, SummaryGroups};
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::reports::interrupted::forget_the_reset;
use crate::verify::verifying::{SUMMARY, Verified};

/// First days of the inventories that were asked for since so many requests.
fn asked_for(world: &World, since: usize) -> BTreeSet<String> {
    let path = SUMMARY.replace("{w}", "2230991");
    let requests = world.toggl.requests().into_iter().skip(since);
    let bodies = requests.filter(|request| request.path == path).map(|request| request.body);
    let day = |body: String| serde_json::from_str::<Value>(&body).unwrap()["start_date"].clone();
    bodies.map(|body| day(body).as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_verification_stopped_by_the_quota_ends_with_4_and_goes_on_where_it_was() {
    let verified = Verified::start(300, SummaryGroups::ByTitle).await;
    let toggl = &verified.world.toggl;
    toggl.limit_quota(QuotaLimits { organization: 2, ..QuotaLimits::default() });
    let begun = toggl.requests().len();
    assert_fails(
        &verified.verify(&[]).await,
        4,
        &["quota", "come back in ", "inventories are sent"],
    );
    let first = asked_for(&verified.world, begun);
    assert!((1..3).contains(&first.len()), "{first:?}");

    toggl.advance_quota_clock(Duration::from_hours(1));
    toggl.limit_quota(QuotaLimits::default());
    forget_the_reset(&verified.world).await;
    let begun = toggl.requests().len();
    let done = verified.verify(&[]).await;
    assert_eq!(done.code, Some(0), "{done:#?}");
    let rest = asked_for(&verified.world, begun);
    assert!(rest.len() < 3, "what was sent is not asked for again: {rest:?}");
    assert_eq!(first.union(&rest).count(), 3);
    assert_eq!(done.stdout.matches(": equal to Toggl").count(), 3, "{}", done.stdout);
    verified.end().await;
}

#[tokio::test]
async fn a_schedule_verifies_after_its_first_run_and_not_again_on_that_day() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let words = ["schedule", "* * * * * *", "--verify", "daily", "--", "--only", "tags"];
    let scheduler = world.fetcher(&words).start().await.unwrap();
    let thrice =
        || async { (scheduler.log().matches("The run has ended well").count() >= 3).then_some(()) };
    wait_for("three runs", DEADLINE, thrice).await.unwrap();
    let log = scheduler.log();
    assert_eq!(log.matches("The verification has ended").count(), 1, "{log}");
    assert!(log.contains("The verification has ended well"), "{log}");
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{log}");
    // This year and the last one.
    assert_eq!(world.toggl.count(&SUMMARY.replace("{w}", "2230991")), 2);
}
