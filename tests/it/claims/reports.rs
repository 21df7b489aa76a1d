//! What a report may claim: the days that Toggl looked at, in the order that its rows have, over pages
//! that fit together.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tests::toggl::{Account, AccountSize, ReportOrder};
use tests::workers::Finished;
use tests::world::World;

use crate::claims::proving::{assert_honest, assert_incomplete, marked, run};
use crate::reports::reporting::{REPORT, days_ago, live_ids, reported, team};

/// The entries of several people over most of a year.
fn year(entries: usize) -> AccountSize {
    AccountSize { days: 350, ..team(entries) }
}

fn arguments() -> [String; 3] {
    ["report".to_owned(), "--from".to_owned(), days_ago(360)]
}

async fn report(world: &World) -> Finished {
    let arguments = arguments();
    run(world, &arguments.each_ref().map(String::as_str)).await
}

/// A year that has been loaded.
async fn loaded(entries: usize) -> World {
    let world = World::start(Account::generate(&year(entries))).await.unwrap();
    let finished = report(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(live_ids(&world).await, living(&world));
    world
}

fn living(world: &World) -> BTreeSet<i64> {
    world.toggl.with_account(|account| reported(account))
}

/// The entries with these places, oldest first.
fn places(account: &Account, places: &[usize]) -> Vec<i64> {
    let shown = reported(account);
    let ids = account.time_entries().map(tests::toggl::TimeEntry::id);
    let ids: Vec<i64> = ids.filter(|id| shown.contains(id)).collect();
    places.iter().map(|place| ids[*place]).collect()
}

fn delete(account: &mut Account, at: &[usize]) -> BTreeSet<i64> {
    let chosen = places(account, at);
    for id in &chosen {
        account.delete_time_entry(*id, Timestamp::now());
    }
    chosen.into_iter().collect()
}

#[tokio::test]
async fn a_report_cut_to_fewer_days_than_asked_for_deletes_nothing_beyond_them() {
    let world = loaded(900).await;
    world.toggl.configure(|behaviour| behaviour.report_days = Some(180));
    let (old, new) =
        world.toggl.with_account(|account| (delete(account, &[100]), delete(account, &[800])));

    let finished = report(&world).await;

    assert_incomplete(&finished, &["time_entries_report"]);
    let marked_now = marked(&world, "time_entries_report").await;
    assert_eq!(marked_now, new, "what Toggl looked at is claimed, and nothing else");

    world.toggl.configure(|behaviour| behaviour.report_days = None);
    let finished = report(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(marked(&world, "time_entries_report").await, &old | &new);
}

#[tokio::test]
async fn a_report_in_another_order_deletes_nothing_and_is_stored_whole() {
    for order in [ReportOrder::Reversed, ReportOrder::ByDescription] {
        let world = loaded(700).await;
        world.toggl.configure(|behaviour| {
            (behaviour.report_order, behaviour.report_page_cap) = (order, 50);
        });
        let finished = report(&world).await;
        assert_honest(&finished);
        assert_eq!(live_ids(&world).await, living(&world), "{order:?}");
    }
}

#[tokio::test]
async fn a_first_report_in_another_order_is_stored_whole() {
    for order in [ReportOrder::Reversed, ReportOrder::ByDescription] {
        let world = World::start(Account::generate(&year(700))).await.unwrap();
        world.toggl.configure(|behaviour| {
            (behaviour.report_order, behaviour.report_page_cap) = (order, 50);
        });
        let finished = report(&world).await;
        assert_honest(&finished);
        assert_eq!(live_ids(&world).await, living(&world), "{order:?}");
    }
}

#[tokio::test]
async fn rows_deleted_between_two_pages_cost_no_other_its_life_in_any_order() {
    for order in [ReportOrder::Asked, ReportOrder::Reversed, ReportOrder::ByDescription] {
        let world = loaded(700).await;
        world.toggl.configure(|behaviour| {
            (behaviour.report_order, behaviour.report_page_cap) = (order, 100);
        });
        // Among them the row that the third page is to begin with, seen from either end.
        world.toggl.before_request(REPORT, 3, |account| {
            let last = reported(account).len() - 1;
            delete(account, &[5, 150, 200, last - 200, last - 5]);
        });

        let finished = report(&world).await;

        assert_honest(&finished);
        let live = live_ids(&world).await;
        let lost: Vec<_> = living(&world).difference(&live).copied().collect();
        assert!(lost.is_empty(), "{order:?}: {lost:?} live at Toggl");
    }
}

#[tokio::test]
async fn rows_deleted_between_two_pages_are_seen_by_the_next_report() {
    let world = loaded(700).await;
    world.toggl.configure(|behaviour| behaviour.report_page_cap = 100);
    world.toggl.before_request(REPORT, 3, |account| {
        delete(account, &[5, 150, 200, 600]);
    });
    assert_honest(&report(&world).await);
    let finished = report(&world).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(live_ids(&world).await, living(&world));
}

#[tokio::test]
async fn pages_named_by_their_number_alone_still_show_deletions_and_invent_none() {
    let world = loaded(700).await;
    world.toggl.configure(|behaviour| {
        (behaviour.report_number_only, behaviour.report_page_cap) = (true, 100);
    });
    let gone = world.toggl.with_account(|account| delete(account, &[50, 350, 690]));

    assert_honest(&report(&world).await);

    assert_eq!(marked(&world, "time_entries_report").await, gone);
}

#[tokio::test]
async fn pages_named_by_their_number_alone_lose_nothing_where_rows_go_meanwhile() {
    let world = loaded(700).await;
    world.toggl.configure(|behaviour| {
        (behaviour.report_number_only, behaviour.report_page_cap) = (true, 100);
    });
    world.toggl.before_request(REPORT, 3, |account| {
        delete(account, &[5, 6, 150, 600]);
    });

    assert_honest(&report(&world).await);

    let live = live_ids(&world).await;
    let lost: Vec<_> = living(&world).difference(&live).copied().collect();
    assert!(lost.is_empty(), "{lost:?} live at Toggl");
}

#[tokio::test]
async fn a_moment_in_which_reports_are_null_deletes_nothing() {
    let world = World::start(Account::generate(&year(15))).await.unwrap();
    assert_eq!(report(&world).await.code, Some(0));
    let before = live_ids(&world).await;
    assert_eq!(before.len(), 14);

    world.toggl.configure(|behaviour| behaviour.glitch = true);
    let finished = report(&world).await;
    assert_eq!(live_ids(&world).await, before);
    assert_incomplete(&finished, &["time_entries_report"]);

    world.toggl.configure(|behaviour| behaviour.glitch = false);
    assert_eq!(report(&world).await.code, Some(0));
    assert_eq!(live_ids(&world).await, before);
}
