//! A second database that gets every batch as well.

use crate::expected::endings::assert_misused;
use crate::expected::oracle::assert_recovers;
use crate::given::databases::{loader_of, loads_of, loads_reach};
use crate::given::flow;
use crate::given::guarded::Guarded;
use crate::given::watched::{Watched, ended, status_json};

const COPY: [&str; 2] = ["--copy", "analysts"];

#[tokio::test]
async fn a_copy_and_the_pipeline_itself_both_get_every_batch() {
    let (mut world, mut flow) = flow::start().await;
    flow.publish(10).await;
    let main = Watched::start(&world).await;
    let other = world.postgres().create_database().await.unwrap();
    let copy = loader_of(&world, &other, &COPY).start().await.unwrap();
    flow.publish(20).await;
    assert_recovers(&world, &flow.oracle, &[&main.loader]).await;
    let all = loads_of(&world, &world.database).await;
    loads_reach(&world, &other, all).await;
    let status = ended(loader_of(&world, &other, &["status", "--copy", "analysts"]), 0).await;
    assert!(!status.stdout.contains("Copy analysts"), "{}", status.stdout);

    // What waits for it is told by the pipeline itself, and keeps nobody waiting.
    assert_eq!(copy.terminate().await.unwrap(), Some(0), "{}", copy.log());
    flow.publish(1).await;
    assert_recovers(&world, &flow.oracle, &[&main.loader]).await;
    let found = status_json(&world, 0).await;
    assert_eq!(found["copies"][0]["name"], "analysts", "{found}");
    assert!(found["copies"][0]["unloaded"].as_u64().unwrap() > 0, "{found}");
    let lag = "toggl_track_loader_copy_lag_messages{copy=\"analysts\"}";
    main.answers("/metrics", 200, &[lag]).await;

    let copy = loader_of(&world, &other, &COPY).start().await.unwrap();
    let all = loads_of(&world, &world.database).await;
    loads_reach(&world, &other, all).await;
    world.database = other;
    flow.oracle.assert_holds(&world).await;
    assert_eq!(copy.terminate().await.unwrap(), Some(0), "{}", copy.log());
}

#[tokio::test]
async fn a_copy_belongs_to_one_database_as_the_stream_does() {
    let (world, mut flow) = flow::start().await;
    flow.publish(3).await;
    let [one, two] = [
        world.postgres().create_database().await.unwrap(),
        world.postgres().create_database().await.unwrap(),
    ];
    let first = loader_of(&world, &one, &COPY).start().await.unwrap();
    loads_reach(&world, &one, Some(7)).await;
    let second = loader_of(&world, &two, &COPY).start().await.unwrap();
    let words = "the copy analysts of the stream TOGGL_TRACK_RAW is loaded into another database";
    second.logged(words, crate::expected::oracle::RESUME).await.unwrap();
    let adopted = ended(loader_of(&world, &two, &["adopt", "--copy", "analysts"]), 0).await;
    assert!(adopted.stdout.starts_with("The copy analysts"), "{adopted:#?}");
    loads_reach(&world, &two, Some(7)).await;
    first.logged("Not loading", crate::expected::oracle::RESUME).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_none_is_wrong_usage() {
    let (world, _) = flow::start().await;
    let finished = world.loader(&["--copy", "A team"]).run().await.unwrap();
    assert_misused(&finished, &["a-z"]);
}

#[tokio::test]
async fn where_the_broker_does_not_let_a_loader_list_consumers_nothing_is_said_of_copies() {
    let names = "\"$JS.API.CONSUMER.NAMES.TOGGL_TRACK_RAW\"";
    let guarded = Guarded::start_without(names).await;
    guarded.set_up().await;
    let fetched = guarded.fetcher(&[]).run().await.unwrap();
    assert_eq!(fetched.code, Some(0), "{fetched:#?}");
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    let finished = ended(guarded.loader(&["status"]), 0).await;
    assert!(!finished.stdout.contains("Copy"), "{}", finished.stdout);
}
