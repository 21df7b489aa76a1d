//! Runs that go by what is known of the token's owner: none of his requests is spent, and what he is told stays the
//! same.

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, TOKEN};
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::given::bucket::Bucket;

const ME: &str = "/api/v9/me";
const RUNS: [&[&str]; 2] =
    [&["report", "--days", "3", "--known-owner"], &["verify", "--known-owner"]];

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

/// Paths that these arguments ask of the user's own quota.
async fn asked_of_the_user(world: &World, arguments: &[&str]) -> Vec<String> {
    let before = world.toggl.requests().len();
    world.sync(arguments).await.unwrap();
    let asked = world.toggl.requests().into_iter().skip(before).map(|request| request.path);
    asked.filter(|path| path.starts_with(ME)).collect()
}

#[tokio::test]
async fn reports_and_proof_ask_whose_the_token_is_once_a_day_and_by_hand_each_time() {
    for run in RUNS {
        let world = world().await;
        assert_eq!(asked_of_the_user(&world, run).await, [ME], "nobody knows yet");
        assert_eq!(asked_of_the_user(&world, run).await, [""; 0], "{run:?}");
        let by_hand = &run[..run.len() - 1];
        assert_eq!(asked_of_the_user(&world, by_hand).await, [ME], "{by_hand:?}");
        // Each run lists the workspaces, which makes what is known of the owner no younger.
        let bucket = Bucket::of(&world).await;
        bucket.age_profile(SignedDuration::from_hours(20)).await;
        assert_eq!(asked_of_the_user(&world, run).await, [""; 0], "{run:?}");
        bucket.age_profile(SignedDuration::from_hours(5)).await;
        assert_eq!(asked_of_the_user(&world, run).await, [ME], "a day has passed");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_so_though_its_owner_is_known() {
    let world = world().await;
    world.sync(&[]).await.unwrap();
    for run in RUNS {
        let fetcher = world.fetcher(run);
        world.toggl.with_account(|account| account.set_token("another"));
        assert_fails(&fetcher.run().await.unwrap(), 3, &["refuses the credentials"]);
        world.toggl.with_account(|account| account.set_token(TOKEN));
    }
}
