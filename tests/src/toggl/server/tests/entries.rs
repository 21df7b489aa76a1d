use super::*;
use crate::toggl::with_fields;

#[tokio::test]
async fn time_entries_stop_silently_at_the_thousand_newest() {
    let now: Timestamp = "2026-05-05T10:00:00Z".parse().unwrap();
    let size = AccountSize { time_entries: 1500, days: 10, now, ..AccountSize::default() };
    let simulator = generated(&size).await;
    let path = format!("{ENTRIES}?start_date=2026-04-20&end_date=2026-05-06");

    let found = rows(&simulator, &path).await;

    let newest_first: Vec<i64> =
        simulator.with_account(|account| account.time_entries().rev().map(TimeEntry::id).collect());
    assert_eq!(ids(&found), newest_first[..1000]);
}

#[tokio::test]
async fn end_date_is_exclusive_and_start_date_inclusive() {
    let simulator = sample().await;
    let count = async |start, end| {
        rows(&simulator, &format!("{ENTRIES}?start_date={start}&end_date={end}")).await.len()
    };

    // Berlin's 16th begins at 23:00 of the 15th; 17:05:25 is the newest start.
    assert_eq!(count("2024-12-15", "2024-12-16").await, 1);
    assert_eq!(count("2024-12-16", "2024-12-17").await, 4);
    assert_eq!(count("2024-12-16", "2024-12-16T17:05:25Z").await, 3);
    assert_eq!(count("2024-12-16T17:05:25%2B00:00", "2024-12-17").await, 1);
    assert_eq!(count("2024-12-17", "2024-12-16").await, 0);
}

#[tokio::test]
async fn dates_before_the_floor_are_refused_with_the_floor_in_the_text() {
    let simulator = sample().await;

    let response =
        ask(&simulator, &format!("{ENTRIES}?start_date=2024-09-16&end_date=2024-12-17")).await;

    assert_eq!(response.status(), 400);
    let expected = r#""start_date must not be earlier than 2024-09-17""#;
    assert_eq!(response.bytes().await.unwrap(), expected);
}

#[tokio::test]
async fn no_parameters_mean_the_last_nine_days() {
    let now: Timestamp = "2026-05-05T10:00:00Z".parse().unwrap();
    let size = AccountSize { time_entries: 300, days: 30, now, ..AccountSize::default() };
    let simulator = generated(&size).await;

    assert_eq!(rows(&simulator, ENTRIES).await.len(), 90);
}

#[tokio::test]
async fn since_shows_changed_and_deleted_entries_and_nothing_else_does() {
    let simulator = Simulator::start(Account::generate(&AccountSize::default())).await;
    let now = Timestamp::now() + SignedDuration::from_secs(10);
    let (edited, deleted) = simulator.with_account(|account| {
        let ids: Vec<i64> = account.time_entries().map(TimeEntry::id).take(2).collect();
        account.edit_time_entry(ids[0], now, &[("description", r#""new""#)]);
        account.delete_time_entry(ids[1], now);
        (ids[0], ids[1])
    });

    let found = rows(&simulator, &format!("{ENTRIES}?since={}", now.as_second())).await;

    assert_eq!(ids(&found), [deleted, edited]);
    assert!(found[0]["server_deleted_at"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(found[1]["description"], "new");
    let start = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    let all = rows(&simulator, &format!("{ENTRIES}?start_date={start:.0}&end_date={now:.0}")).await;
    assert_eq!(all.len(), 199);
}

#[tokio::test]
async fn since_shows_what_was_created_newest_start_first_and_stops_silently_at_the_cap() {
    let simulator = sample().await;
    let since = sample_now().as_second();
    simulator.configure(|behaviour| behaviour.entry_cap = 2);
    simulator.with_account(|account| {
        let entry = account.time_entry(4_306_996_794).unwrap().text().to_owned();
        for (id, start) in [("7", "09"), ("8", "11"), ("9", "10")] {
            let start = format!(r#""2024-12-01T{start}:00:00+00:00""#);
            let created = [("id", id), ("start", &start), ("at", r#""2024-12-17T00:00:00.1Z""#)];
            account.put_time_entry(&with_fields(&entry, &created));
        }
    });

    let path = format!("{ENTRIES}?since={since}");
    let response = ask(&simulator, &path).await;
    assert_eq!(response.status(), 200);
    assert_eq!(ids(&rows(&simulator, &path).await), [8, 9]);
}

#[tokio::test]
async fn since_before_the_floor_is_refused_with_the_floor_in_the_text() {
    let simulator = sample().await;
    let floor: Timestamp = "2024-09-16T22:00:00Z".parse().unwrap();
    let ask_since = async |second| ask(&simulator, &format!("{ENTRIES}?since={second}")).await;

    assert_eq!(ask_since(floor.as_second()).await.status(), 200);
    let refused = ask_since(floor.as_second() - 1).await;
    assert_eq!(refused.status(), 400);
    let expected = r#""since must not be earlier than 2024-09-17""#;
    assert_eq!(refused.bytes().await.unwrap(), expected);
}

#[tokio::test]
async fn since_with_before_is_refused_as_recorded() {
    let simulator = sample().await;

    let response = ask(&simulator, &format!("{ENTRIES}?since=1734300000&before=2024-12-17")).await;

    assert_eq!(response.status(), 400);
    let expected = r#""'since' and 'before' can not be present simultaneously""#;
    assert_eq!(response.bytes().await.unwrap(), expected);
}

#[tokio::test]
async fn entries_of_other_users_are_not_shown() {
    let simulator = sample().await;
    let path = format!("{ENTRIES}?start_date=2024-12-01&end_date=2024-12-17");
    let before = rows(&simulator, &path).await.len();

    simulator.with_account(|account| {
        let entry = account.time_entry(4_306_996_794).unwrap().text();
        let foreign = with_fields(entry, &[("id", "7"), ("user_id", "2166399")]);
        account.put_time_entry(&foreign);
    });

    assert_eq!(rows(&simulator, &path).await.len(), before);
}

#[tokio::test]
async fn current_entry_is_the_running_one_or_null() {
    let simulator = sample().await;
    let path = format!("{ENTRIES}/current");

    let running: Value = serde_json::from_str(&text(&simulator, &path).await).unwrap();
    assert_eq!(running["id"], 3_728_081_835_i64);

    simulator.with_account(|account| account.delete_time_entry(3_728_081_835, sample_now()));
    assert_eq!(text(&simulator, &path).await, "null");
}

#[tokio::test]
async fn moved_sample_is_as_old_as_the_recording_was() {
    let now = Timestamp::now();
    let simulator = Simulator::start(Account::sample_at(now)).await;

    assert_eq!(rows(&simulator, ENTRIES).await.len(), 6);
    let since = (now - SignedDuration::from_hours(24)).as_second();
    assert_eq!(rows(&simulator, &format!("{ENTRIES}?since={since}")).await.len(), 8);
}
