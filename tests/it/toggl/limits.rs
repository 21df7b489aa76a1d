//! Toggl's limits and moods: 429, 402, 5xx, broken connections, odd bodies.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tests::rows::count;
use tests::toggl::{Account, Answer, QuotaLimits, SeenRequest, Simulator};
use tests::workers::Finished;
use tests::world::World;

use crate::expected::endings::assert_fails;

const ME: &str = "/api/v9/me";
const TAGS: &str = "/api/v9/workspaces/{w}/tags";
const CLIENTS: &str = "/api/v9/workspaces/{w}/clients";
const GROUPS: &str = "/api/v9/workspaces/{w}/groups";

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

/// The requests to a scripted path.
fn seen(toggl: &Simulator, pattern: &str) -> Vec<SeenRequest> {
    let path = pattern.replace("{w}", "2230991");
    toggl.requests().into_iter().filter(|request| request.path == path).collect()
}

fn gap(requests: &[SeenRequest]) -> Duration {
    requests[1].at - requests[0].at
}

/// Loads what was published: this many rows of the resource, and of all others as many as there are.
async fn assert_all_loaded_but(world: &World, name: &str, left: i64) {
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let account = world.toggl.with_account(|account| account.clone());
    for resource in shared::catalogue::CATALOGUE.iter().filter(|r| r.by_default) {
        if resource.name == name {
            assert_eq!(count(&mut connection, resource).await.unwrap(), left, "{name}");
        } else {
            crate::expected::rows::assert_table_holds(&mut connection, &account, resource).await;
        }
    }
    loader.terminate().await.unwrap();
}

async fn fetch(world: &World) -> Finished {
    world.fetcher(&["--days", "60"]).run().await.unwrap()
}

#[tokio::test]
async fn a_429_is_waited_out_for_as_long_as_it_asks() {
    let in_ms = (Timestamp::now().as_millisecond() + 3_000).to_string();
    // The reset is an instant, so the time until the request counts too.
    for (header, value, least) in [
        ("retry-after", "2", Duration::from_secs(2)),
        ("x-ratelimit-reset", "2", Duration::from_secs(2)),
        ("x-ratelimit-reset", &in_ms, Duration::ZERO),
    ] {
        let world = world().await;
        world.toggl.script(TAGS, Answer::status(429).header(header, value));
        let finished = fetch(&world).await;
        let end = Timestamp::now().as_millisecond();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let tags = seen(&world.toggl, TAGS);
        assert_eq!(tags.len(), 2, "{tags:?}");
        assert!(gap(&tags) >= least, "{header}: {value} was not waited for: {:?}", gap(&tags));
        assert!(value.len() < 9 || end >= in_ms.parse().unwrap(), "the reset was not waited for");
        assert!(finished.stderr.contains("Too many requests, waiting"), "{}", finished.stderr);
        assert_all_loaded_but(&world, "none", 0).await;
    }
}

#[tokio::test]
async fn a_429_that_names_no_wait_is_waited_out_all_the_same() {
    let world = world().await;
    world.toggl.script(TAGS, Answer::status(429));
    let finished = fetch(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let tags = seen(&world.toggl, TAGS);
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(gap(&tags) >= Duration::from_secs(1), "{:?}", gap(&tags));
}

#[tokio::test]
async fn a_429_empties_the_bucket_that_all_requests_share() {
    let world = world().await;
    world.toggl.script(ME, Answer::status(429).header("retry-after", "1"));
    let fetcher = world.fetcher(&[]).env("TOGGL_REQUESTS_PER_SECOND", "4");
    let finished = fetcher.env("TOGGL_BURST", "20").run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let requests = world.toggl.requests();
    assert!(requests.len() >= 8, "{requests:?}");
    for (place, request) in (0..).zip(requests.iter().skip(1)) {
        let least = Duration::from_secs(1) + place * Duration::from_millis(250);
        let after = request.at - requests[0].at;
        assert!(after >= least, "request {place} after the 429 came after {after:?}: {request:?}");
    }
}

#[tokio::test]
async fn parallel_masters_keep_to_the_pace() {
    let world = world().await;
    let start = Instant::now();
    let fetcher = world.fetcher(&[]).env("TOGGL_REQUESTS_PER_SECOND", "2").env("TOGGL_BURST", "2");
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let requests = world.toggl.requests();
    assert!(requests.len() >= 8, "{requests:?}");
    for (place, request) in (0..).zip(requests.iter().skip(2)) {
        // Two pass at once, each further one takes its half second.
        let least = (place + 1) * Duration::from_millis(500);
        let after = request.at - start;
        assert!(after >= least, "request {} came after {after:?}", place + 2);
    }
}

#[tokio::test]
async fn a_5xx_gets_one_more_try_after_a_second() {
    let world = world().await;
    world.toggl.script(TAGS, Answer::status(503).body("<html>busy</html>"));
    let finished = fetch(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let tags = seen(&world.toggl, TAGS);
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(gap(&tags) >= Duration::from_secs(1), "{:?}", gap(&tags));
    assert_all_loaded_but(&world, "none", 0).await;
}

#[tokio::test]
async fn a_5xx_twice_fails_the_run_and_the_other_resources_are_sent() {
    let world = world().await;
    world.toggl.script(TAGS, Answer::status(500).body(r#""out of order""#).forever());
    let finished = fetch(&world).await;
    assert_fails(&finished, 1, &["tags", "500", "out of order"]);
    assert_eq!(seen(&world.toggl, TAGS).len(), 2);
    assert_all_loaded_but(&world, "tags", 0).await;
}

#[tokio::test]
async fn a_connection_that_breaks_within_an_answer_gets_one_more_try() {
    let world = world().await;
    world.toggl.script(TAGS, Answer::pass_through().hang_up_after(25));
    let finished = fetch(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(seen(&world.toggl, TAGS).len(), 2);
    assert_all_loaded_but(&world, "none", 0).await;

    world.toggl.script(TAGS, Answer::pass_through().hang_up_after(25).forever());
    let finished = fetch(&world).await;
    assert_fails(&finished, 1, &["tags"]);
    assert_eq!(seen(&world.toggl, TAGS).len(), 4);
}

#[tokio::test]
async fn a_page_that_breaks_off_costs_the_whole_listing() {
    let size = tests::toggl::AccountSize { projects: 250, ..tests::toggl::AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    let projects = "/api/v9/workspaces/{w}/projects";
    world.toggl.script(projects, Answer::pass_through());
    world.toggl.script(projects, Answer::status(500).repeat(2));
    let finished = fetch(&world).await;
    assert_fails(&finished, 1, &["projects", "500"]);
    assert_all_loaded_but(&world, "projects", 0).await;
}

#[tokio::test]
async fn an_hourly_quota_that_is_used_up_ends_with_4_and_says_when_to_come_back() {
    let world = world().await;
    world.toggl.limit_quota(QuotaLimits { organization: 3, ..QuotaLimits::default() });
    let finished = fetch(&world).await;
    assert_fails(&finished, 4, &["quota", "come back in "]);

    // The words of a plan that lacks the feature; the header says that it is the quota.
    let world = self::world().await;
    let answer = Answer::status(402)
        .header("x-toggl-quota-remaining", "0")
        .header("x-toggl-quota-resets-in", "1795")
        .body(r#"{"error":{"message":"Payment Required - feature is not included"}}"#);
    world.toggl.script(GROUPS, answer);
    let finished = fetch(&world).await;
    assert_fails(&finished, 4, &["quota", "30 minutes"]);
}

#[tokio::test]
async fn a_resource_that_is_closed_to_the_account_is_skipped_and_the_rest_is_sent() {
    let closed = [
        Answer::status(402).header("x-toggl-quota-remaining", "20").body(r#""not in your plan""#),
        Answer::status(402).body(r#""not in your plan""#),
        Answer::status(403).body(r#""not in your plan""#),
        Answer::status(404).body(r#""not in your plan""#),
    ];
    for answer in closed {
        let world = world().await;
        world.toggl.script(GROUPS, answer.forever());
        let finished = fetch(&world).await;
        assert_eq!(finished.code, Some(6), "{finished:#?}");
        assert!(finished.stdout.starts_with("[INCOMPLETE] "), "{}", finished.stdout);
        assert!(finished.stdout.contains("Skipped: groups"), "{}", finished.stdout);
        assert!(finished.stdout.contains("not in your plan"), "{}", finished.stdout);
        assert_eq!(seen(&world.toggl, GROUPS).len(), 1);
        assert_all_loaded_but(&world, "groups", 0).await;
    }
}

#[tokio::test]
async fn workspaces_are_read_from_the_other_path_where_the_first_is_closed() {
    let world = world().await;
    world.toggl.script("/api/v9/workspaces", Answer::status(404).forever());
    let finished = fetch(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_all_loaded_but(&world, "none", 0).await;
}

#[tokio::test]
async fn a_clients_list_that_is_closed_is_skipped_too() {
    let world = world().await;
    world.toggl.script(CLIENTS, Answer::status(403));
    let finished = fetch(&world).await;
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_all_loaded_but(&world, "clients", 0).await;
}
