//! A worker dies at the worst moments: rows 1 and 2 of the fault matrix. It does so by itself, at a
//! named place, as only debug builds can (see `shared::fault_point`).

use jiff::{SignedDuration, Timestamp};
use shared::fault_point::{
    AFTER_ACK, AFTER_PUBLISH, BEFORE_ACK, BEFORE_COMMIT, BEFORE_CURSOR, BEFORE_LEDGER,
    BEFORE_PUBLISH, DELIVERED,
};
use shared::stream::BUCKET;
use tests::rows::raw_rows;
use tests::servers::DEADLINE;
use tests::toggl::{Account, AccountSize};
use tests::workers::Finished;
use tests::world::World;

use crate::expected::oracle::{Oracle, assert_recovers};
use crate::expected::rows::{assert_tables_hold, resource};
use crate::given::flow::{self, loads};

/// More often than a sync of the sample account gets to any place.
const ENOUGH: usize = 60;

/// More batches than a loader has in its hands when it dies.
const REPEATED: i64 = 10;

fn at(action: &str, place: &str, times: usize) -> String {
    format!("{action}:{place}:{times}")
}

async fn loader_dies(place: &'static str) {
    let (world, mut flow) = flow::start().await;
    for times in [1, 2, 9, 40] {
        flow.publish(20).await;
        let before = loads(&world).await.unwrap();
        let loader = world.loader(&[]).env("FAULT_POINT", at("die", place, times));
        let loader = loader.start().await.unwrap();
        let code = loader.ended(DEADLINE).await.unwrap();
        assert_eq!(code, Some(134), "by SIGABRT, as its shell tells: {}", loader.log());
        // Some came to that place for the second time, and are in the ledger once.
        let loaded = loads(&world).await.unwrap() - before;
        assert!(loaded + REPEATED >= i64::try_from(times).unwrap(), "{loaded} of {times}");
    }
    let loader = world.start_loader().await.unwrap();
    assert_recovers(&world, &flow.oracle, &[&loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

#[tokio::test]
async fn a_loader_that_dies_before_its_commit_loses_and_doubles_nothing() {
    loader_dies(BEFORE_COMMIT).await;
}

#[tokio::test]
async fn a_loader_that_dies_between_commit_and_acknowledgement_loses_and_doubles_nothing() {
    loader_dies(BEFORE_ACK).await;
}

#[tokio::test]
async fn a_loader_that_dies_after_an_acknowledgement_loses_and_doubles_nothing() {
    loader_dies(AFTER_ACK).await;
}

/// Of a listing that brings nothing the claim is committed first.
#[tokio::test]
async fn a_loader_that_dies_between_a_claim_and_its_row_of_loads_applies_the_batch_again() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    world.sync(&["--only", "tags"]).await.unwrap();
    let before = loads(&world).await.unwrap();
    let loader = world.loader(&[]).env("FAULT_POINT", at("die", BEFORE_LEDGER, 1));
    let loader = loader.start().await.unwrap();
    assert_eq!(loader.ended(DEADLINE).await.unwrap(), Some(134), "{}", loader.log());
    let claimed = "select count(*) from raw.toggl_track__claims c where resource = 'tags'
                   and not exists (select from raw.toggl_track__loads l where l.run_id = c.run_id)";
    let mut connection = world.connect().await.unwrap();
    let claimed: i64 = sqlx::query_scalar(claimed).fetch_one(&mut connection).await.unwrap();
    assert_eq!((claimed, loads(&world).await.unwrap()), (1, before));
    load(&world).await;
    assert!(loads(&world).await.unwrap() > before);
}

#[tokio::test]
async fn a_panic_in_any_task_ends_the_loader_with_a_failure() {
    for place in [DELIVERED, BEFORE_COMMIT, BEFORE_ACK, AFTER_ACK] {
        let (world, mut flow) = flow::start().await;
        flow.publish(10).await;
        let loader = world.loader(&[]).env("FAULT_POINT", at("panic", place, 3));
        let loader = loader.start().await.unwrap();
        let code = loader.ended(DEADLINE).await;
        let code = code.unwrap_or_else(|error| panic!("{place}: {error:#}\n{}", loader.log()));
        assert_eq!(code, Some(1), "{place}: {}", loader.log());
        let log = loader.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: a task of the loader died"), "{place}: {log}");

        let loader = world.start_loader().await.unwrap();
        assert_recovers(&world, &flow.oracle, &[&loader]).await;
    }
}

/// A fetcher that dies at a place the first time, the next one the second time, and so on until one
/// gets to its end; then everything is loaded.
async fn until_done(world: &World, arguments: &[&str], place: &str) -> Finished {
    for times in 1..ENOUGH {
        let fetcher = world.fetcher(arguments).env("FAULT_POINT", at("die", place, times));
        let finished = fetcher.run().await.unwrap();
        if finished.code == Some(0) {
            assert!(times > 1, "it died nowhere");
            return finished;
        }
        assert_eq!(finished.code, None, "{finished:#?}");
        assert!(finished.stdout.is_empty(), "claims nothing: {finished:#?}");
        world.forget_lease().await.unwrap();
    }
    panic!("{place} is reached more often than a test has patience for");
}

async fn load(world: &World) {
    let loader = world.start_loader().await.unwrap();
    assert_recovers(world, &Oracle::default(), &[&loader]).await;
    assert_eq!(loader.terminate().await.unwrap(), Some(0), "{}", loader.log());
}

/// An entry changed since the last sync, which no window shows: only the cursor can lose it.
#[tokio::test]
async fn a_fetcher_that_dies_anywhere_leaves_nothing_out_the_next_time() {
    for place in [BEFORE_PUBLISH, AFTER_PUBLISH, BEFORE_CURSOR] {
        let size = AccountSize { time_entries: 60, days: 40, ..AccountSize::default() };
        let world = World::start(Account::generate(&size)).await.unwrap();
        world.sync_and_load(&["--days", "60"]).await.unwrap();
        let (user_id, edited) = world.toggl.with_account(|account| {
            let oldest = account.time_entries().next().unwrap().id();
            let hours_ago = Timestamp::now() - SignedDuration::from_hours(5);
            account.edit_time_entry(oldest, hours_ago, &[("description", r#""edited""#)]);
            (account.user_id(), oldest)
        });
        // The last sync was yesterday.
        let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
        let state = world.jetstream().await.unwrap().get_key_value(BUCKET).await;
        let cursor = format!(r#"{{"fetched_at":"{yesterday}"}}"#);
        state.unwrap().put(format!("since.{user_id}"), cursor.into()).await.unwrap();

        until_done(&world, &["--days", "1"], place).await;

        load(&world).await;
        assert_tables_hold(&world).await;
        let mut connection = world.connect().await.unwrap();
        let rows = raw_rows(&mut connection, resource("time_entries")).await.unwrap();
        assert_eq!(rows[&edited].data["description"], "edited", "{place}");
    }
}

#[tokio::test]
async fn a_report_that_dies_anywhere_goes_on_without_a_gap() {
    for place in [BEFORE_PUBLISH, AFTER_PUBLISH, BEFORE_CURSOR] {
        let size = AccountSize {
            users: 3,
            entry_users: 3,
            time_entries: 3_000,
            days: 2 * 365,
            ..AccountSize::default()
        };
        let world = World::start(Account::generate(&size)).await.unwrap();
        let from = Timestamp::now() - SignedDuration::from_hours(24 * 800);
        let from = from.strftime("%Y-%m-%d").to_string();
        until_done(&world, &["report", "--from", &from], place).await;
        load(&world).await;
        let entries = world.toggl.with_account(|account| {
            let is_shown = |text: &str| !text.contains(r#""stop":null"#);
            account.time_entries().filter(|e| !e.is_deleted() && is_shown(e.text())).count()
        });
        let mut connection = world.connect().await.unwrap();
        let rows = raw_rows(&mut connection, resource("time_entries_report")).await.unwrap();
        assert!(rows.values().all(|row| row.deleted_at.is_none()), "{place}");
        assert_eq!(rows.len(), entries, "{place}");
    }
}
