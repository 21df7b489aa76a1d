//! The days where inventories meet, and those that several inventories speak of.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tests::toggl::{Account, SummaryGroups, SummaryIds, TimeEntry};

use crate::reports::reporting::{days_ago, live_ids, reported, team};
use crate::verify::verifying::{Verified, inside};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// Entries that start within a day and a half of the first midnights of the second and the third year.
fn next_to_seams(account: &Account) -> BTreeSet<i64> {
    let midnight = |day: String| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
    let seams = [730, 365].map(|days| midnight(days_ago(days)).as_second());
    let is_near =
        |entry: &TimeEntry| seams.iter().any(|seam| (entry.start_s() - seam).abs() < 36 * HOUR_S);
    inside(account).iter().filter(|entry| is_near(entry)).map(TimeEntry::id).collect()
}

#[tokio::test]
async fn what_is_deleted_on_the_days_where_inventories_meet_is_named_exactly_and_mended() {
    let mut account = Account::generate(&team(6_000));
    let first = account.user_id();
    let zones = ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "America/St_Johns"];
    for (user, zone) in (first + 1..).zip(zones) {
        account.set_user_time_zone(user, zone);
    }
    let verified = Verified::of(account, SummaryGroups::OfOne).await;
    let equal = verified.verify(&[]).await;
    assert_eq!(equal.code, Some(0), "{equal:#?}");
    let deleted = verified.world.toggl.with_account(|account| {
        let near = next_to_seams(account);
        let deleted: BTreeSet<i64> = near.into_iter().step_by(2).collect();
        for id in &deleted {
            account.delete_time_entry(*id, Timestamp::now());
        }
        deleted
    });
    assert!(deleted.len() > 10, "{deleted:?}");

    assert_eq!(verified.verify(&[]).await.code, Some(6));

    assert_eq!(verified.of_state(&["gone"]).await, deleted);
    assert_eq!(verified.of_state(&["missing", "other day"]).await, BTreeSet::new());
    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    let expected = verified.world.toggl.with_account(|account| reported(account));
    assert_eq!(live_ids(&verified.world).await, expected);
    verified.end().await;
}

/// To the same day of another year.
fn move_by_years(account: &mut Account, entry: &TimeEntry, years: i64) {
    let value: serde_json::Value = serde_json::from_str(entry.text()).unwrap();
    let moved = |field: &str| {
        let time: Timestamp = value[field].as_str().unwrap().parse().unwrap();
        let time = time + SignedDuration::from_hours(365 * 24 * years);
        format!("\"{}\"", time.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    };
    let changes = [("start", &*moved("start")), ("stop", &*moved("stop"))];
    account.edit_time_entry(entry.id(), Timestamp::now(), &changes);
}

#[tokio::test]
async fn an_entry_that_moved_into_the_days_of_another_inventory_is_named_once() {
    let verified = Verified::start(600, SummaryGroups::OfOne).await;
    let (later, earlier) = verified.world.toggl.with_account(|account| {
        let entries = inside(account);
        let (later, earlier) = (&entries[entries.len() / 6], &entries[entries.len() / 2]);
        move_by_years(account, later, 1);
        move_by_years(account, earlier, -1);
        (later.id(), earlier.id())
    });
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    let (_, verdict) = verified.verdict().await;
    let differences = verdict["differences"].as_array().unwrap().iter();
    let named: BTreeSet<i64> =
        differences.map(|entry| entry["time_entry_id"].as_i64().unwrap()).collect();
    assert_eq!(named, [later, earlier].into(), "{verdict}");
    let sum = &verdict["sum"];
    let counts = ["missing_count", "gone_count", "differing_count"].map(|name| sum[name].as_i64());
    assert_eq!(counts.into_iter().flatten().sum::<i64>(), 2, "{verdict}");
    // Of the years, the later was asked for last.
    assert_eq!(verified.of_state(&["other day"]).await, [later].into());

    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}

#[tokio::test]
async fn of_inventories_that_overlap_the_newest_counts_and_no_entry_counts_twice() {
    for groups in [SummaryGroups::OfOne, SummaryGroups::ByTitle] {
        let verified = Verified::start(600, groups).await;
        assert_eq!(verified.verify(&[]).await.code, Some(0));
        let (_, before) = verified.verdict().await;

        // It takes the place of the last of the three, and of a part of the second.
        let from = days_ago(400);
        let newer = async || verified.verify_days(&["--from", &from]).await;
        assert_eq!(newer().await.code, Some(0));
        let (code, after) = verified.verdict().await;
        assert_eq!((code, &after["sum"]), (Some(0), &before["sum"]), "{after}");

        let deleted = verified.world.toggl.with_account(|account| {
            let after = format!("{from}T00:00:00Z").parse::<Timestamp>().unwrap().as_second();
            let entries = inside(account);
            let mut newer = entries.iter().filter(|entry| entry.start_s() > after + 48 * HOUR_S);
            let deleted = [newer.next().unwrap().id(), newer.next_back().unwrap().id()];
            for id in deleted {
                account.delete_time_entry(id, Timestamp::now());
            }
            BTreeSet::from(deleted)
        });
        assert_eq!(newer().await.code, Some(6));
        assert_eq!(verified.of_state(&["gone"]).await, deleted);
        let (_, differing) = verified.verdict().await;
        let told = |verdict: &serde_json::Value| verdict["sum"]["told_entry_count"].as_i64();
        assert_eq!(told(&differing), told(&before).map(|count| count - 2), "{differing}");
        verified.end().await;
    }
}

#[tokio::test]
async fn of_sums_that_overlap_no_time_and_no_difference_counts_twice() {
    let verified = Verified::start(600, SummaryGroups::ByTitle).await;
    verified.world.toggl.configure(|behaviour| behaviour.summary_ids = SummaryIds::LeftOut);
    assert_eq!(verified.verify(&[]).await.code, Some(0));
    let (_, before) = verified.verdict().await;

    // It takes the place of the last of the three, and of a part of the second.
    let from = days_ago(400);
    let newer = async || verified.verify_days(&["--from", &from]).await;
    assert_eq!(newer().await.code, Some(0));
    let (code, after) = verified.verdict().await;
    assert_eq!((code, &after["sum"]), (Some(0), &before["sum"]), "{after}");

    // In days that two of them hold, and in days of the older one alone.
    let midnight = format!("{from}T00:00:00Z").parse::<Timestamp>().unwrap().as_second();
    let edit = |days: std::ops::Range<i64>| {
        verified.world.toggl.with_account(|account| {
            let entries = inside(account);
            let days = midnight + days.start * DAY_S..midnight + days.end * DAY_S;
            let chosen = entries.iter().find(|entry| days.contains(&entry.start_s())).unwrap();
            account.edit_time_entry(chosen.id(), Timestamp::now(), &[("duration", "98765")]);
        });
    };
    let differing = async || verified.verdict().await.1["sum"]["differing_count"].clone();
    edit(2..33);
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    assert_eq!(newer().await.code, Some(6));
    assert_eq!(differing().await, 1);
    edit(-300..-2);
    assert_eq!(verified.verify(&[]).await.code, Some(6));
    let mended = verified.verify_days(&["--from", &from, "--repair"]).await;
    assert_eq!(mended.code, Some(0), "{mended:#?}");
    assert_eq!(differing().await, 1, "that of the older one's own days");
    assert_eq!(verified.verify(&["--repair"]).await.code, Some(0));
    verified.end().await;
}
