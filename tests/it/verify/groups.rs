//! Entries that Toggl puts together, and what they cost.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _};
use tests::toggl::{Account, SummaryGroups, TimeEntry};

use crate::reports::reporting::{entry, team};
use crate::verify::verifying::{Verified, all_inside, inside};

/// The first such entry, and what it says.
fn first(account: &Account, is_meant: impl Fn(&Value) -> bool) -> TimeEntry {
    let value = |entry: &TimeEntry| serde_json::from_str::<Value>(entry.text()).unwrap();
    let mut entries = inside(account).into_iter();
    entries.find(|entry| is_meant(&value(entry))).unwrap()
}

#[tokio::test]
async fn a_change_is_mended_at_once_though_another_entry_of_its_group_is_missing() {
    let verified = Verified::start(600, SummaryGroups::ByTitle).await;
    let (longer, added) = verified.world.toggl.with_account(|account| {
        let user_id = account.user_id();
        let own = |value: &Value| value["user_id"] == user_id && value["description"].is_null();
        let longer = first(account, own);
        account.edit_time_entry(longer.id(), Timestamp::now(), &[("duration", "98765")]);
        // It has no description either.
        let start = Timestamp::from_second(longer.start_s()).unwrap();
        account.put_time_entry(&entry(account, 9_000_000_001, start));
        (longer.id(), 9_000_000_001)
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert_eq!(verified.of_state(&["missing"]).await, [added].into());
    assert!(verified.of_state(&["undecided"]).await.contains(&longer));

    let mended = verified.verify(&["--repair"]).await;

    assert_eq!(mended.code, Some(0), "{mended:#?}");
    assert_eq!(verified.verdict().await.0, Some(0));
    verified.end().await;
}

#[tokio::test]
async fn a_running_entry_that_was_given_a_length_is_missing_until_it_is_read() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    let stopped = verified.world.toggl.with_account(|account| {
        let entries = all_inside(account);
        let running = entries.iter().find(|entry| entry.is_running()).unwrap();
        account.edit_time_entry(running.id(), Timestamp::now(), &[("duration", "98765")]);
        running.id()
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert_eq!(verified.of_state(&["missing"]).await, [stopped].into());
    let mended = verified.verify(&["--repair"]).await;
    assert_eq!(mended.code, Some(0), "{mended:#?}");
    verified.end().await;
}

#[tokio::test]
async fn an_entry_of_another_price_is_named_and_mended() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    assert_eq!(verified.verify(&[]).await.code, Some(0));
    let dearer = verified.world.toggl.with_account(|account| {
        let free =
            |value: &Value| value["billable"] == false && value["duration"].as_i64() > Some(60);
        let dearer = first(account, free).id();
        account.edit_time_entry(dearer, Timestamp::now(), &[("billable", "true")]);
        dearer
    });

    let found = verified.verify(&[]).await;

    assert_eq!(found.code, Some(6), "{found:#?}");
    assert_eq!(verified.of_state(&["other amount"]).await, BTreeSet::from([dearer]));
    let table = verified.world.loader(&["verify"]).run().await.unwrap();
    assert!(table.stdout.contains("of another price at Toggl"), "{}", table.stdout);
    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}

/// As a plan without prices, or somebody who may not see them, is told.
const WITHOUT_PRICES: &str = "update raw.toggl_track__inventories
    set data = regexp_replace(data::text, '\"rates\": \\[[^]]*\\], ', '', 'g')::jsonb";
/// As a member is told, who sees the prices of some projects.
const AS_A_MEMBER: &str = "update raw.toggl_track__inventories
    set data = data || '{\"is_admin\": false}' where data ? 'is_admin'";

#[tokio::test]
async fn an_entry_that_is_no_longer_billed_is_named_and_mended_where_toggl_tells_prices() {
    let verified = Verified::start(300, SummaryGroups::OfOne).await;
    let free = verified.world.toggl.with_account(|account| {
        let billed =
            |value: &Value| value["billable"] == true && value["duration"].as_i64() > Some(60);
        let free = first(account, billed).id();
        account.edit_time_entry(free, Timestamp::now(), &[("billable", "false")]);
        free
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert_eq!(verified.of_state(&["other amount"]).await, BTreeSet::from([free]));
    for hidden in [AS_A_MEMBER, WITHOUT_PRICES] {
        let mut connection = verified.world.connect().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        transaction.execute(hidden).await.unwrap();
        let told: i64 = sqlx::query_scalar(
            "select count(*) from staging.stg_toggl_track__verified_entries where state = 'other amount'",
        )
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        assert_eq!(told, 0, "{hidden}");
    }
    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}

#[tokio::test]
async fn of_a_row_of_several_entries_the_one_that_is_no_longer_billed_is_named() {
    let mut account = Account::generate(&team(50));
    let start = Timestamp::now() - SignedDuration::from_hours(24 * 100);
    for place in 0..3 {
        let alike =
            entry(&account, 9_000_000_000 + place, start + SignedDuration::from_hours(2 * place));
        account.put_time_entry(&alike.replace('}', r#","billable":true}"#));
    }
    let verified = Verified::of_rows_of(3, account).await;
    let equal = verified.verify(&[]).await;
    assert_eq!(equal.code, Some(0), "{equal:#?}");
    let shared = 9_000_000_001;
    let mut connection = verified.world.connect().await.unwrap();
    let parts: Option<i32> = sqlx::query_scalar(
        "select jsonb_array_length(data->'time_entries') from raw.toggl_track__time_entries_report
         where source_id = $1",
    )
    .bind(shared)
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(parts, Some(3));
    verified.world.toggl.with_account(|account| {
        account.edit_time_entry(shared, Timestamp::now(), &[("billable", "false")]);
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert_eq!(verified.of_state(&["other amount"]).await, BTreeSet::from([shared]));
    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}
