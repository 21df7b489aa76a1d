//! How many requests an answer takes, and a refusal.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tests::rows::count;
use tests::toggl::{Account, AccountSize, Answer, SeenRequest};
use tests::world::World;

use crate::expected::endings::assert_fails_in_the_end;
use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::bucket::Bucket;
use crate::reports::reporting::{days_ago, load, questions};

const ENTRIES: &str = "/api/v9/me/time_entries";
const QUOTA: &str = "/api/v9/me/quota";
const TAGS: &str = "/api/v9/workspaces/2230991/tags";

/// The windows that were asked for, and how often for what has changed.
fn windows_and_changes(world: &World) -> (usize, usize) {
    let requests = world.toggl.requests().into_iter().filter(|r| r.path == ENTRIES);
    let (windows, changes): (Vec<SeenRequest>, Vec<_>) =
        requests.partition(|request| request.query.starts_with("start_date="));
    (windows.len(), changes.len())
}

#[tokio::test]
async fn windows_go_on_where_an_answer_was_cut() {
    let size = AccountSize { time_entries: 2_600, days: 84, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    let finished = world.sync_and_load(&["--days", "85"]).await.unwrap();
    assert!(finished.stdout.contains("Time entries: 2600"), "{}", finished.stdout);
    assert_eq!(windows_and_changes(&world), (3, 1));
    assert_tables_hold(&world).await;
}

/// So many entries that start in one second, and ten on either side of it.
fn crowd(many: i64, start: Timestamp) -> Account {
    let mut account = Account::empty();
    let user_id = account.user_id();
    let starts = (1..=many).map(|_| start);
    let hours = (1..=10).map(SignedDuration::from_hours);
    let around = hours.flat_map(|by| [start - by, start + by]);
    for (id, start) in (1..).zip(starts.chain(around)) {
        account.put_time_entry(&format!(
            r#"{{"id":{id},"workspace_id":2230991,"user_id":{user_id},"start":"{start:.0}","stop":"{start:.0}","at":"{start:.0}","duration":0}}"#
        ));
    }
    account
}

#[tokio::test]
async fn a_second_with_more_entries_than_toggl_lists_is_named_and_costs_no_other() {
    let second = Timestamp::from_second(Timestamp::now().as_second() - 86_400).unwrap();
    let world = World::start(crowd(3_000, second)).await.unwrap();
    let finished = world.fetcher(&["--days", "85", "--only", "time_entries"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    let said = format!("more start in the second of {second} than Toggl lists");
    assert!(finished.stdout.contains(&said), "{said} is not in {}", finished.stdout);
    let (windows, _) = windows_and_changes(&world);
    assert_eq!(windows, 3, "before it, in it, after it");
    load(&world).await;
    let mut connection = world.connect().await.unwrap();
    let around: i64 = sqlx::query_scalar(
        "select count(*) from raw.toggl_track__time_entries
         where source_id > 3000 and deleted_at is null",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(around, 20);
    assert!(count(&mut connection, resource("time_entries")).await.unwrap() >= 1_000);
}

#[tokio::test]
async fn what_an_hour_allows_is_asked_once_a_day_where_toggl_does_not_tell() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.script(QUOTA, Answer::status(404).forever());
    for _ in 0..4 {
        world.sync(&[]).await.unwrap();
    }
    assert_eq!(world.toggl.count(QUOTA), 1);
    let bucket = Bucket::of(&world).await;
    bucket.age("limits", SignedDuration::from_hours(23)).await;
    world.sync(&[]).await.unwrap();
    assert_eq!(world.toggl.count(QUOTA), 1);
    bucket.age("limits", SignedDuration::from_hours(2)).await;
    world.sync(&[]).await.unwrap();
    assert_eq!(world.toggl.count(QUOTA), 2, "a day later");
}

#[tokio::test]
async fn a_429_that_says_at_once_for_ever_is_no_quota_and_not_asked_without_a_pause() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.toggl.script(TAGS, Answer::status(429).header("retry-after", "0").forever());
    let finished = world.fetcher(&["--only", "tags"]).run().await.unwrap();
    assert_fails_in_the_end(&finished, 1, &["tags", "429"]);
    assert!(!finished.stderr.contains("hourly quota"), "{}", finished.stderr);
    let tags: Vec<_> = world.toggl.requests().into_iter().filter(|r| r.path == TAGS).collect();
    assert!((3..=8).contains(&tags.len()), "{tags:?}");
    for pair in tags[1..].windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_secs(1), "{gap:?}");
    }
}

#[tokio::test]
async fn nothing_costs_one_request_each() {
    let world = World::start(Account::empty()).await.unwrap();
    let sync = ["--only", "default,project_users,workspace_users"];
    for run in 1..=2 {
        world.sync(&sync).await.unwrap();
        for list in ["projects", "clients", "tags", "users", "groups", "workspace_users"] {
            let path = format!("/api/v9/workspaces/2230991/{list}");
            assert_eq!(world.toggl.count(&path), run, "{list}");
        }
        assert_eq!(windows_and_changes(&world), (run, run));
    }
    let from = days_ago(3 * 363 - 3);
    for run in 1..=2 {
        world.sync(&["report", "--from", &from]).await.unwrap();
        assert_eq!(questions(&world).len(), 3 * run, "one for each year");
    }
}
