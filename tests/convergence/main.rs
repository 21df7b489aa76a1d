//! The heart of the pipeline: the live rows are a function of the set of batches applied, not of
//! their order.
//!
//! Random accounts live for some moments, records being created, edited, moved, changed without their
//! `at`, deleted and brought back, with their old `at` or a new one; they are synced at random moments by full listings, by windows and
//! by "changed since" feeds, some of them by a clock that is far ahead, and sometimes a person is forgotten meanwhile. Shuffled, with
//! repetitions, over two concurrent connections to a real Postgres, the batches must end in the live rows that a simple model
//! reaches in order.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails at the line that fails")]

mod history;
mod model;
mod sent;
mod stored;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use history::History;
use sent::{Axis, Claim, Live, Seen, Sent};
use stored::Stored;

/// Cases for each axis; `PROPTEST_CASES` is another number, with `.ci/run thorough` 2,000.
const CASES: u32 = 250;

fn every_order_ends_in_the_same_live_rows(axis: Axis) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stored = runtime.block_on(Stored::start());
    let default = Config::default();
    let cases = if default.cases == 256 { CASES } else { default.cases };
    let config = Config { cases, max_shrink_iters: 2_000, ..default };
    let history = history::histories(axis);
    let order = any::<u64>();
    let outcome = TestRunner::new(config)
        .run(&(history, order), |(history, order)| check(&runtime, &stored, &history, order));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

fn check(
    runtime: &tokio::runtime::Runtime,
    stored: &Stored,
    history: &History,
    order: u64,
) -> Result<(), TestCaseError> {
    let syncs = history.batches();
    let mut wanted = model::final_rows(&syncs.batches);
    wanted.retain(|id, _| !history.forgets(*id));
    let shuffled = history::shuffle(&syncs.batches, order);
    let found = runtime.block_on(stored.apply(history.axis, &shuffled, history.forgotten));
    prop_assert_eq!(&found, &wanted, "in the order {:#?}", shuffled);
    if let Some(last) = &syncs.last_claim {
        let claimed = |id: i64, start: i64| last.covers(id, start);
        // What runs is shown by chance.
        let known = |(id, row): &(&i64, &Live)| {
            claimed(**id, row.start) && !row.running && !history.forgets(**id)
        };
        let rows: Vec<_> = found.iter().filter(known).collect();
        let account: Vec<_> = syncs.account.iter().filter(known).collect();
        prop_assert_eq!(rows, account, "the last sync claims {:?}", last);
    }
    Ok(())
}

#[test]
fn listings_cut_by_id_in_any_order_end_in_the_same_live_rows() {
    every_order_ends_in_the_same_live_rows(Axis::Ids);
}

#[test]
fn reports_of_what_may_be_running_in_any_order_end_in_the_same_live_rows() {
    every_order_ends_in_the_same_live_rows(Axis::Reports);
}

#[test]
fn windows_cut_by_start_and_feeds_in_any_order_end_in_the_same_live_rows() {
    every_order_ends_in_the_same_live_rows(Axis::Starts);
}

/// What came and went twice, the listings that lack it coming last: each delivery of all of them puts one more
/// of these times right.
#[tokio::test]
async fn what_came_and_went_is_on_record_once_the_listings_were_delivered_often_enough() {
    let stored = Stored::start().await;
    let listing = |fetched_at, is_there: bool| {
        let live = Live { content: 0, start: 1, modified_at: 0, running: false };
        let seen = is_there.then_some(Seen { id: 1, live, deleted: false });
        let claim = Some(Claim { axis: Axis::Ids, low: None, high: None });
        Sent { fetched_at, hours_ahead: 0, claim, seen: seen.into_iter().collect() }
    };
    let there = [11, 13, 16].map(|fetched_at| listing(fetched_at, true));
    let gone = [17, 14, 12].map(|fetched_at| listing(fetched_at, false));
    let past = stored.past_after_redelivery(Axis::Ids, &[there, gone].concat()).await;
    assert_eq!(past, [(11, 12), (13, 14)]);
}

/// Too rare a history to be found by chance: the same again, seen by a feed, is news of that moment.
#[tokio::test]
async fn what_a_feed_saw_again_is_not_overwritten_by_what_it_was_in_between() {
    let stored = Stored::start().await;
    let feed = |fetched_at, content| Sent {
        fetched_at,
        hours_ahead: 0,
        claim: None,
        seen: vec![Seen {
            id: 1,
            live: Live { content, start: 1, modified_at: 0, running: false },
            deleted: false,
        }],
    };
    let batches = [feed(10, 0), feed(50, 0), feed(30, 1)];
    let found = stored.apply_in_order(Axis::Starts, &batches).await;
    assert_eq!(found.values().map(|live| live.content).collect::<Vec<_>>(), [0]);
}
