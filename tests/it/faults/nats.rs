//! NATS dies, freezes, and forgets while rows flow: rows 3 and 11 of the fault matrix.

use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use shared::stream::{STREAM, SUBJECT_PREFIX};
use tests::servers::{DEADLINE, wait_for};
use tests::toggl::Account;
use tests::workers::Resident;
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::oracle::assert_recovers;
use crate::expected::rows::resource;
use crate::given::flow::{self, Flow, loads, reached};

async fn finish(world: &World, flow: &Flow, loader: &Resident) {
    assert_recovers(world, &flow.oracle, &[loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_nats_killed_with_publishes_and_acknowledgements_on_their_way_loses_nothing() {
    let (world, mut flow) = flow::start().await;
    let loader = world.start_loader().await.unwrap();
    for _ in 0..4 {
        let before = loads(&world).await.unwrap();
        let killing = async {
            reached(&world, before + 30, &loader).await;
            world.nats.kill9().unwrap();
            world.nats.restart().await.unwrap();
        };
        tokio::join!(flow.publish(150), killing);
    }
    finish(&world, &flow, &loader).await;
}

/// Every delivery times out meanwhile, and in the longer pause every connection too.
#[tokio::test]
async fn a_nats_frozen_for_longer_than_the_ack_wait_loses_nothing() {
    let (world, mut flow) = flow::start().await;
    let loader = world.start_loader().await.unwrap();
    for pause in [4, 25] {
        let before = loads(&world).await.unwrap();
        let freezing = async {
            reached(&world, before + 20, &loader).await;
            world.nats.signal("STOP").unwrap();
            tokio::time::sleep(Duration::from_secs(pause)).await;
            world.nats.signal("CONT").unwrap();
        };
        tokio::join!(flow.publish(100), freezing);
    }
    finish(&world, &flow, &loader).await;
}

#[tokio::test]
async fn consumers_deleted_under_a_loader_are_made_anew_and_lose_nothing() {
    let (world, mut flow) = flow::start().await;
    let loader = world.start_loader().await.unwrap();
    let stream = world.stream().await.unwrap();
    for _ in 0..3 {
        let before = loads(&world).await.unwrap();
        flow.publish(40).await;
        reached(&world, before + 20, &loader).await;
        for name in ["time_entries", "tags", "me"] {
            // It may be about to be made anew.
            let consumer = resource(name).consumer();
            let deleted = || async { stream.delete_consumer(&consumer).await.ok() };
            wait_for("the consumer", DEADLINE, deleted).await.unwrap();
        }
    }
    finish(&world, &flow, &loader).await;
}

/// What it held is gone with it; what comes after is not.
#[tokio::test]
async fn a_stream_deleted_under_a_loader_is_made_anew_and_publishers_wait_for_it() {
    let (world, mut flow) = flow::start().await;
    let loader = world.start_loader().await.unwrap();
    loader.logged("Loading", DEADLINE).await.unwrap();
    world.jetstream().await.unwrap().delete_stream(STREAM).await.unwrap();
    flow.publish(30).await;
    finish(&world, &flow, &loader).await;
}

#[tokio::test]
async fn settings_that_somebody_changed_are_put_right_by_the_next_loader() {
    let (world, mut flow) = flow::start().await;
    let context = world.jetstream().await.unwrap();
    let mut stream = context.get_stream(STREAM).await.unwrap();
    let right = stream.info().await.unwrap().config.clone();
    let consumer = resource("tags").consumer();
    let tags = stream.get_consumer::<pull::Config>(&consumer).await.unwrap();
    let right_tags = tags.cached_info().config.clone();
    assert_eq!(right_tags.max_deliver, -1);

    let max_age = Duration::from_hours(1);
    context.update_stream(Config { max_age, max_messages: 7_000, ..right.clone() }).await.unwrap();
    let durable_name = Some(consumer.clone());
    let (filter_subject, max_deliver) = (resource("tags").subject(), 3);
    let drifted = pull::Config { durable_name, filter_subject, max_deliver, ..Default::default() };
    let _: PullConsumer = stream.create_consumer(drifted).await.unwrap();

    flow.publish(10).await;
    // The age is put right by who says so.
    let loader = world.loader(&[]).env("STREAM_MAX_AGE", "365d").start().await.unwrap();
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    let now = stream.info().await.unwrap().config.clone();
    assert_eq!((now.max_age, now.max_messages), (right.max_age, right.max_messages));
    let tags = stream.get_consumer::<pull::Config>(&consumer).await.unwrap();
    let now = tags.cached_info().config.clone();
    assert_eq!((now.max_deliver, now.ack_wait), (right_tags.max_deliver, right_tags.ack_wait));
    finish(&world, &flow, &loader).await;
}

/// A queue that forgets what was read could never be replayed.
#[tokio::test]
async fn a_stream_of_another_kind_is_refused_loudly() {
    let world = World::start(Account::empty()).await.unwrap();
    let queue = Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{SUBJECT_PREFIX}.*")],
        retention: RetentionPolicy::WorkQueue,
        ..Config::default()
    };
    world.jetstream().await.unwrap().create_stream(queue).await.unwrap();
    for worker in [world.loader(&[]), world.fetcher(&[])] {
        assert_fails(&worker.run().await.unwrap(), 5, &["retention"]);
    }
}
