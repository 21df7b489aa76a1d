//! What one sync remembers for the next, and for how long.

use std::time::Duration;

use async_nats::jetstream::kv::Config;
use fetcher::state::BUCKET;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize, List, QuotaLimits, with_fields};
use tests::workers::{Finished, Worker};
use tests::world::World;

use crate::expected::endings::assert_fails;
use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::bucket::Bucket;
use crate::reports::reporting::load;

const ENTRIES: &str = "/api/v9/me/time_entries";
const LISTS: &str = "/api/v9/workspaces/2230991/";

async fn sample() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

/// Its requests come one by one, in the order in which they are meant.
fn in_order(world: &World, arguments: &[&str]) -> Worker {
    let fetcher = world.fetcher(arguments);
    fetcher.env("TOGGL_REQUESTS_PER_SECOND", "25").env("TOGGL_BURST", "1")
}

/// The lists of the workspace that were answered from this request on, in order.
fn read_after(world: &World, requests: usize) -> Vec<String> {
    let lists = world.toggl.requests().into_iter().skip(requests);
    let lists = lists.filter(|request| request.status == Some(200));
    lists.filter_map(|request| request.path.strip_prefix(LISTS).map(str::to_owned)).collect()
}

/// A sync with quota for three of the five lists.
async fn interrupted(world: &World) -> (Finished, Vec<String>) {
    let before = world.toggl.requests().len();
    world.toggl.limit_quota(QuotaLimits { organization: 4, ..QuotaLimits::default() });
    let finished = in_order(world, &["--days", "60"]).run().await.unwrap();
    assert_fails(&finished, 4, &["quota", "goes on"]);
    let read = read_after(world, before);
    assert_eq!(read.len(), 3, "{read:?}");
    // An hour of Toggl's.
    world.toggl.limit_quota(QuotaLimits::default());
    Bucket::of(world).await.forget("limits").await;
    (finished, read)
}

fn rename(world: &World, name: &str) -> i64 {
    world.toggl.with_account(|account| {
        let id = account.records(List::Projects, 2_230_991)[0].id();
        let text = format!("\"{name}\"");
        account.edit(List::Projects, 2_230_991, id, &[("name", &text)]);
        id
    })
}

async fn name_of(world: &World, id: i64) -> String {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("projects")).await.unwrap();
    rows[&id].data["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_sync_that_was_interrupted_is_gone_on_with_for_an_hour_and_then_begins_anew() {
    let world = sample().await;
    let (_, read) = interrupted(&world).await;
    assert!(read.contains(&"projects".to_owned()), "{read:?}");
    let before = world.toggl.requests().len();
    let next = in_order(&world, &["--days", "60"]).run().await.unwrap();
    assert_eq!(next.code, Some(0), "{next:#?}");
    let rest = read_after(&world, before);
    assert!(rest.len() == 2 && rest.iter().all(|list| !read.contains(list)), "{rest:?}");
    let earlier = "Read by the run that was interrupted: ";
    let said = next.stdout.lines().find_map(|line| line.trim().strip_prefix(earlier)).unwrap();
    for list in read.iter().map(String::as_str).chain(["time_entries"]) {
        assert!(said.contains(&format!("{list} (")), "{list} is not in {said}");
    }
    load(&world).await;
    assert_tables_hold(&world).await;

    let (_, read) = interrupted(&world).await;
    assert!(read.contains(&"projects".to_owned()), "what was read least recently: {read:?}");
    let id = rename(&world, "another name");
    Bucket::of(&world).await.age("sync", SignedDuration::from_mins(61)).await;
    let before = world.toggl.requests().len();
    let late = world.sync_and_load(&["--days", "60"]).await.unwrap();
    assert_eq!(read_after(&world, before).len(), 5);
    assert!(!late.stdout.contains(earlier), "{}", late.stdout);
    assert_eq!(name_of(&world, id).await, "another name");
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn resume_within_0s_reads_everything_again_and_first_what_was_never_read() {
    let world = sample().await;
    let (_, read) = interrupted(&world).await;
    let id = rename(&world, "another name");
    let before = world.toggl.requests().len();
    let next = in_order(&world, &["--days", "60", "--resume-within", "0s"]).run().await.unwrap();
    assert_eq!(next.code, Some(0), "{next:#?}");
    assert!(!next.stdout.contains("interrupted"), "{}", next.stdout);
    let lists = read_after(&world, before);
    assert_eq!(lists.len(), 5, "{lists:?}");
    assert!(lists[..2].iter().all(|list| !read.contains(list)), "{lists:?} after {read:?}");
    load(&world).await;
    assert_eq!(name_of(&world, id).await, "another name");
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn the_bucket_keeps_what_it_holds_however_long_nobody_syncs() {
    for made_before in [false, true] {
        let world = sample().await;
        let context = world.jetstream().await.unwrap();
        let max_age = Duration::from_hours(90 * 24);
        if made_before {
            let config = Config { bucket: BUCKET.to_owned(), max_age, ..Config::default() };
            context.create_key_value(config).await.unwrap();
        }
        world.sync(&[]).await.unwrap();
        let stream = context.get_stream(format!("KV_{BUCKET}")).await.unwrap();
        assert_eq!(stream.cached_info().config.max_age, Duration::ZERO, "{made_before}");
        assert!(Bucket::of(&world).await.read("since").await["fetched_at"].is_string());
    }
}

/// What was asked since, in seconds since 1970.
fn since(world: &World) -> Vec<i64> {
    let requests = world.toggl.requests().into_iter().filter(|r| r.path == ENTRIES);
    let since = |query: &str| query.strip_prefix("since=").map(|text| text.parse().unwrap());
    requests.filter_map(|request| since(&request.query)).collect()
}

/// An entry of sixty days ago gets another description.
fn edit_an_old_entry(world: &World, at: Timestamp) -> i64 {
    let oldest = Timestamp::now() - SignedDuration::from_hours(62 * 24);
    world.toggl.with_account(|account| {
        let id = account.time_entries().find(|e| e.start_s() > oldest.as_second()).unwrap().id();
        account.edit_time_entry(id, at, &[("description", r#""edited""#)]);
        id
    })
}

async fn assert_edited(world: &World, id: i64) {
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
    assert_eq!(rows[&id].data["description"], "edited");
}

async fn of_seventy_days() -> World {
    let size = AccountSize { time_entries: 300, days: 70, ..AccountSize::default() };
    World::start(Account::generate(&size)).await.unwrap()
}

fn days_before_now(second: i64) -> i64 {
    (Timestamp::now().as_second() - second) / 86_400
}

#[tokio::test]
async fn the_first_sync_of_an_empty_bucket_asks_for_all_changes_that_toggl_tells() {
    let world = of_seventy_days().await;
    world.sync_and_load(&["--days", "80"]).await.unwrap();
    // The pipeline moves to another server; the tables stay.
    world.jetstream().await.unwrap().delete_key_value(BUCKET).await.unwrap();
    let id = edit_an_old_entry(&world, Timestamp::now() - SignedDuration::from_hours(50));

    world.sync_and_load(&["--days", "1"]).await.unwrap();

    assert_edited(&world, id).await;
    for asked in since(&world) {
        assert!((83..=85).contains(&days_before_now(asked)), "{asked}");
    }
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn a_moment_in_the_future_that_a_wrong_clock_wrote_is_not_believed() {
    let world = of_seventy_days().await;
    world.sync_and_load(&["--days", "80"]).await.unwrap();
    let bucket = Bucket::of(&world).await;
    let future = Timestamp::now() + SignedDuration::from_hours(24);
    bucket.write("since", &json!({"fetched_at": future.to_string()})).await;
    let id = edit_an_old_entry(&world, Timestamp::now());

    world.sync_and_load(&["--days", "1"]).await.unwrap();

    let asked = since(&world).last().copied().unwrap();
    assert!((83..=85).contains(&days_before_now(asked)), "{asked}");
    assert_edited(&world, id).await;
    let stored = bucket.read("since").await["fetched_at"].as_str().unwrap().to_owned();
    assert!(stored.parse::<Timestamp>().unwrap() < future, "{stored}");
}

fn set_default_workspace(world: &World, id: &str) {
    world.toggl.with_account(|account| {
        let me = with_fields(account.me(), &[("default_workspace_id", id)]);
        account.set_me(&me);
    });
}

#[tokio::test]
async fn another_default_workspace_in_the_profile_is_named_once() {
    let world = sample().await;
    world.toggl.with_account(|account| {
        let other = account.workspaces()[0].text().replace("2230991", "777");
        account.put_workspace(&other);
    });
    world.sync(&[]).await.unwrap();
    set_default_workspace(&world, "777");
    let named = world.fetcher(&[]).run().await.unwrap();
    assert_eq!(named.code, Some(6), "{named:#?}");
    let said = named.stdout.lines().find(|line| line.contains("default workspace")).unwrap();
    assert!(said.contains("777") && said.contains("2230991"), "{said}");
    assert!(world.toggl.count("/api/v9/workspaces/777/") > 0);
    let again = world.sync(&[]).await.unwrap();
    assert!(!again.stdout.contains("2230991"), "{}", again.stdout);
}

#[tokio::test]
async fn without_a_default_workspace_what_needs_none_is_read() {
    let world = sample().await;
    set_default_workspace(&world, "null");
    let entries = world.sync(&["--only", "time_entries,me", "--days", "60"]).await.unwrap();
    assert!(entries.stdout.starts_with("[OK]"), "{}", entries.stdout);
    let all = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&all, 1, &["default workspace", "--workspace"]);
}
