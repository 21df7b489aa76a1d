//! What a report vouches for: what it lacks is deleted, and nothing that it could not have shown.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tests::rows::raw_rows;
use tests::toggl::{Account, AccountSize, Answer, Running};
use tests::world::World;

use crate::expected::rows::resource;
use crate::reports::reporting::{REPORT, days_ago, entry, live_ids, load, reported, team};

#[tokio::test]
async fn an_entry_deleted_in_toggl_is_marked_by_the_next_report_and_no_other() {
    let world = World::start(Account::generate(&team(3_000))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let deleted: BTreeSet<i64> = world.toggl.with_account(|account| {
        let ids: Vec<_> = reported(account).into_iter().collect();
        let chosen: BTreeSet<i64> = ids.into_iter().step_by(97).collect();
        for id in &chosen {
            account.delete_time_entry(*id, Timestamp::now());
        }
        chosen
    });
    assert!(deleted.len() > 20);
    world.sync_and_load(&arguments).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("time_entries_report")).await.unwrap();
    let marked: BTreeSet<i64> =
        rows.into_iter().filter(|(_, row)| row.deleted_at.is_some()).map(|(id, _)| id).collect();
    assert_eq!(marked, deleted);
}

#[tokio::test]
async fn entries_of_people_all_over_the_world_are_claimed_wherever_they_are() {
    let mut account = Account::generate(&team(2_000));
    let first = account.user_id();
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns"];
    for (user, zone) in (first + 1..).zip(zones) {
        account.set_user_time_zone(user, zone);
    }
    let world = World::start(account).await.unwrap();
    let arguments = ["report", "--from", &days_ago(700), "--to", &days_ago(400)];
    world.sync_and_load(&arguments).await.unwrap();
    let live = live_ids(&world).await;
    let (from, to) = (days_ago(700), days_ago(400));
    let start = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
    let (from, to) = (start(&from).as_second(), start(&to).as_second() + 86_400);
    world.toggl.with_account(|account| {
        let shown = reported(account);
        for entry in account.time_entries().filter(|entry| shown.contains(&entry.id())) {
            if (from..to).contains(&entry.start_s()) {
                assert!(live.contains(&entry.id()), "{} is missing", entry.text());
            }
        }
    });

    // Nothing that another report found at the edges is taken for deleted.
    world
        .sync_and_load(&["report", "--from", &days_ago(550), "--to", &days_ago(450)])
        .await
        .unwrap();
    assert_eq!(live_ids(&world).await, live);
}

#[tokio::test]
async fn who_is_no_admin_vouches_for_nobody_else() {
    let mut account = Account::generate(&team(600));
    let workspace = account.workspaces()[0].text().replace(r#""role":"admin""#, r#""role":"user""#);
    let workspace = tests::toggl::with_fields(&workspace, &[("admin", "false")]);
    let world = World::start(account.clone()).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let everybody = live_ids(&world).await;

    account.put_workspace(&workspace);
    world.toggl.with_account(|known| *known = account);
    world.sync_and_load(&arguments).await.unwrap();

    assert_eq!(
        live_ids(&world).await,
        everybody,
        "the others' entries were not shown, not deleted"
    );
    let mut connection = world.connect().await.unwrap();
    let users: Vec<Option<i64>> = sqlx::query_scalar(
        "select distinct user_id from raw.toggl_track__claims
         where resource = 'time_entries_report' and fetched_at = (
             select max(fetched_at) from raw.toggl_track__claims where resource = 'time_entries_report')",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let user_id = world.toggl.with_account(|account| account.user_id());
    assert_eq!(users, [Some(user_id)]);
}

#[tokio::test]
async fn a_running_entry_is_left_alone_by_later_reports() {
    let mut account = Account::generate(&team(50));
    let text = entry(&account, 5, Timestamp::now() - SignedDuration::from_hours(1));
    account
        .put_time_entry(&tests::toggl::with_fields(&text, &[("stop", "null"), ("duration", "-1")]));
    let world = World::start(account).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.report_running = Running::WithoutStop);
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    assert!(live_ids(&world).await.contains(&5));

    world.toggl.configure(|behaviour| behaviour.report_running = Running::Missing);
    world.sync_and_load(&arguments).await.unwrap();

    assert!(live_ids(&world).await.contains(&5), "a running entry was taken for deleted");
}

#[tokio::test]
async fn a_page_that_was_named_and_does_not_come_leaves_the_report_incomplete() {
    let world = World::start(Account::generate(&team(2_500))).await.unwrap();
    let arguments = ["report", "--from", &days_ago(3 * 365 + 2)];
    world.sync_and_load(&arguments).await.unwrap();
    let before = live_ids(&world).await;

    world.toggl.script(REPORT, Answer::pass_through());
    world.toggl.configure(|behaviour| behaviour.report_page_cap = 300);
    world.toggl.script(REPORT, Answer::json("[]"));
    let finished = world.fetcher(&arguments).run().await.unwrap();
    load(&world).await;

    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.contains("INCOMPLETE"), "{}", finished.stdout);
    assert_eq!(live_ids(&world).await, before, "what did not come was taken for deleted");
}

#[tokio::test]
async fn a_report_that_is_empty_for_the_first_time_deletes_nothing_and_is_asked_for_once() {
    let world =
        World::start(Account::generate(&AccountSize { days: 20, ..team(15) })).await.unwrap();
    let arguments = ["report", "--from", &days_ago(30)];
    world.sync_and_load(&arguments).await.unwrap();
    let before = live_ids(&world).await;
    assert!(!before.is_empty());
    let asked = world.toggl.requests().len();
    world.toggl.script(REPORT, Answer::json("[]"));
    let empty = world.fetcher(&arguments).run().await.unwrap();
    assert_eq!(empty.code, Some(6), "{empty:#?}");
    assert!(empty.stdout.contains("it is empty, and was not the last time"), "{}", empty.stdout);
    assert_eq!(world.toggl.requests().len(), asked + 3, "/me, workspaces, one page");
    load(&world).await;
    assert_eq!(live_ids(&world).await, before);

    world.toggl.script(REPORT, Answer::json("null"));
    world.sync_and_load(&arguments).await.unwrap();
    assert!(live_ids(&world).await.is_empty(), "nothing is there, in two runs");
}
