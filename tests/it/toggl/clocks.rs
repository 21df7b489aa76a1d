//! Fetchers whose clock is ahead: what they tell of the time is not believed.

use jiff::Timestamp;
use shared::batch::Batch;
use shared::listing::{Listing, Span};
use uuid::Uuid;

use crate::dead_letters::letters::{Letters, named};
use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, moment, record};
use crate::given::watched::{assert_says, ended, status, status_json};
use crate::replay::replaying::Replaying;

const HOUR: i64 = 60 * 60;
const YEAR: i64 = 365 * 24 * HOUR;

/// So many seconds from now, in the tests' own reckoning.
fn from_now(seconds: i64) -> i64 {
    Timestamp::now().as_second() - moment(0).as_second() + seconds
}

/// A listing of tags of these ids, all of them with this content and never changed by their own word.
fn tags(fetched_at: i64, ids: &[i64], content: &str) -> Vec<Batch> {
    let tags = resource("tags");
    listing(tags, fetched_at, ids.iter().map(|id| record(tags, *id, 5, content)).collect())
}

const LIVE: &str = "select string_agg(source_id || (data->>'name'), ' ' order by source_id)
                    from raw.toggl_track__tags where deleted_at is null";
const LATER_THAN_NOW: &str = "select count(*) from raw.toggl_track__tags
                              where fetched_at > now() + interval '1 hour' or deleted_at > now() + interval '1 hour'";

#[tokio::test]
async fn a_run_two_hours_ahead_hides_nothing_that_comes_after() {
    let mut replaying = Replaying::start().await;
    replaying.load(&tags(from_now(2 * HOUR), &[1, 2, 3], "A")).await;
    replaying.load(&tags(from_now(60), &[1, 3], "B")).await;
    assert_eq!(replaying.scalar(LIVE).await, "1B 3B");
    replaying.load(&tags(from_now(120), &[1, 2, 3], "B")).await;
    assert_eq!(replaying.scalar(LIVE).await, "1B 2B 3B");
}

#[tokio::test]
async fn a_run_ten_years_ahead_deletes_nothing_in_ten_years() {
    let mut replaying = Replaying::start().await;
    replaying.load(&tags(from_now(-60), &[1, 2], "A")).await;
    replaying.load(&tags(from_now(10 * YEAR), &[1], "A")).await;
    assert_eq!(replaying.scalar(LIVE).await, "1A");
    assert_eq!(replaying.scalar(LATER_THAN_NOW).await, "0");
    replaying.load(&tags(from_now(60), &[1, 2, 3], "A")).await;
    assert_eq!(replaying.scalar(LIVE).await, "1A 2A 3A");
}

#[tokio::test]
async fn less_than_an_hour_ahead_is_believed() {
    let mut replaying = Replaying::start().await;
    let soon = from_now(HOUR - 60);
    replaying.load(&tags(soon, &[1], "A")).await;
    let fetched = "select extract(epoch from fetched_at)::bigint from raw.toggl_track__tags";
    assert_eq!(replaying.scalar(fetched).await, moment(soon).as_second().to_string());
    assert_eq!(status_json(&replaying.world, 0).await["attention"].to_string(), "[]");
}

#[tokio::test]
async fn replays_come_to_the_same_times() {
    let mut replaying = Replaying::start().await;
    for batches in [
        tags(from_now(-60), &[1, 2], "A"),
        tags(from_now(10 * YEAR), &[1], "B"),
        tags(from_now(60), &[1, 3], "C"),
    ] {
        replaying.load(&batches).await;
    }
    let intact = replaying.contents("raw", &["synced_at"]).await;
    let soon = moment(from_now(HOUR)).to_string();
    replaying.replay(&["--into", "beside", "--until", &soon], 0).await;
    assert!(intact == replaying.contents("beside", &["synced_at"]).await, "{intact:#?}");

    replaying.truncate().await;
    replaying.execute("truncate raw.toggl_track__claims, raw.toggl_track__loads").await;
    replaying.replay(&[], 0).await;
    let after = replaying.contents("raw", &["synced_at"]).await;
    assert!(intact == after, "{intact:#?} {after:#?}");
}

#[tokio::test]
async fn a_dead_letter_that_is_applied_later_was_not_fetched_later() {
    let tags = resource("tags");
    let mut letters = Letters::start().await;
    letters.refuse(tags, "no_poison").await;
    let ahead = from_now(10 * YEAR);
    letters.load(&cut(tags, ahead, Span::Partial, named(tags, 1..=1, "poison"))).await;
    letters.allow(tags, "no_poison").await;
    letters.run(&["retry", "--all"], 0).await;
    let fetched: Vec<bool> =
        sqlx::query_scalar("select fetched_at < now() from raw.toggl_track__tags")
            .fetch_all(&mut letters.connection)
            .await
            .unwrap();
    assert_eq!(fetched, [true]);
}

#[tokio::test]
async fn it_is_told_once_for_each_run_counted_and_shown_for_a_week() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    let run = |second| {
        let records = (1..=40).map(|id| record(tags, id, 5, &"long ".repeat(40))).collect();
        let fetched_at = moment(second);
        let rejected = Vec::new();
        let (workspace_id, span) = (WORKSPACE, Span::Ids);
        let resource = tags;
        let listing = Listing { resource, workspace_id, fetched_at, span, records, rejected };
        listing.into_batches(Uuid::now_v7(), 0, 1024)
    };
    let batches = run(from_now(2 * HOUR));
    assert!(batches.len() > 2);
    replaying.load(&batches).await;
    replaying.load(&run(from_now(3 * HOUR))).await;

    let log = replaying.loader.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("clock of the machine")).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told[0].contains("Set that machine's clock right"), "{}", told[0]);

    let found = status_json(&replaying.world, 6).await;
    let count = format!("{} batches of the last 7 days", batches.len() * 2);
    assert_says(&found, &["clock that is ahead", &count, "Set that machine's clock right"]);
    let finished = status(&replaying.world, 6).await;
    assert!(finished.stdout.contains("clock that is ahead, last by "), "{finished:#?}");
    replaying
        .execute("update raw.toggl_track__loads set loaded_at = loaded_at - interval '8 days'")
        .await;
    ended(replaying.world.loader(&["status"]), 0).await;
}
