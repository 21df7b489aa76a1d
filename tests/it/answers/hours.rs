//! Hours by day and by tag, amounts, and rounding as reports do it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::expected::rows::resource;
use crate::given::batches::WORKSPACE;
use crate::staging::staged::{Form, Staged};

/// A report's entry of a user from a start, and the seconds it took.
fn entry(user: i64, start: &str, seconds: i64, project: i64, tags: &[i64], cents: &Value) -> Value {
    let start: jiff::Timestamp = start.parse().unwrap();
    let stop = start + jiff::SignedDuration::from_secs(seconds);
    json!({"start": start.to_string(), "stop": stop.to_string(), "seconds": seconds,
        "user_id": user, "username": format!("User {user}"), "project_id": project,
        "tag_ids": tags, "billable": true, "billable_amount_in_cents": cents, "currency": "EUR"})
}

async fn put(staged: &mut Staged, id: i64, data: Value) {
    staged.put(resource("time_entries_report"), id, &Form::live(data)).await;
}

async fn put_master_data(staged: &mut Staged) {
    for (name, id, data) in [
        ("workspaces", WORKSPACE, json!({"name": "Studio", "rounding": 1, "rounding_minutes": 15})),
        ("projects", 3, json!({"name": "Website", "client_id": 4})),
        ("clients", 4, json!({"name": "Acme"})),
        ("tags", 8, json!({"name": "deep"})),
        ("tags", 9, json!({"name": "call"})),
    ] {
        staged.put(resource(name), id, &Form::live(data)).await;
    }
}

/// Some columns of all rows of a view, as texts, in order.
async fn texts(staged: &mut Staged, columns: &str, view: &str) -> Vec<String> {
    let sql =
        format!("select concat_ws('|', {columns}) from staging.stg_toggl_track__{view} order by 1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut staged.connection).await.unwrap()
}

#[tokio::test]
async fn hours_are_by_local_day_user_client_and_project() {
    let mut staged = Staged::start().await;
    put_master_data(&mut staged).await;
    put(&mut staged, 1, entry(7, "2026-01-05T23:00:00Z", 7_200, 3, &[], &json!(10_001))).await;
    put(&mut staged, 2, entry(7, "2026-01-05T08:00:00Z", 3_600, 3, &[], &json!(null))).await;
    put(&mut staged, 3, entry(6, "2026-01-05T08:00:00Z", 1_800, 5, &[], &json!(null))).await;
    let columns = "day, week, month, user_name, client_name, project_name, entry_count, seconds,
        round(hours, 2), round(billable_amount, 3)";
    let wanted = [
        "2026-01-05|2026-01-05|2026-01-01|User 6|1|1800|0.50",
        "2026-01-05|2026-01-05|2026-01-01|User 7|Acme|Website|2|7200|2.00|50.005",
        "2026-01-06|2026-01-05|2026-01-01|User 7|Acme|Website|1|3600|1.00|50.005",
    ];
    assert_eq!(texts(&mut staged, columns, "hours_by_day").await, wanted);
}

#[tokio::test]
async fn an_entry_of_two_tags_counts_in_both_and_one_of_none_under_none() {
    let mut staged = Staged::start().await;
    put_master_data(&mut staged).await;
    put(&mut staged, 1, entry(7, "2026-01-05T08:00:00Z", 3_600, 3, &[8, 9, 8], &json!(null))).await;
    put(&mut staged, 2, entry(7, "2026-01-05T10:00:00Z", 1_800, 3, &[9], &json!(null))).await;
    put(&mut staged, 3, entry(7, "2026-01-05T12:00:00Z", 900, 3, &[], &json!(null))).await;
    let wanted = ["call|2|5400", "deep|1|3600", "none|1|900"];
    let columns = "coalesce(tag_name, 'none'), entry_count, seconds";
    assert_eq!(texts(&mut staged, columns, "hours_by_tag").await, wanted);
}

#[tokio::test]
async fn names_of_deleted_tags_do_not_linger_in_entries() {
    let mut staged = Staged::start().await;
    put_master_data(&mut staged).await;
    let v9 = json!({"start": "2026-01-05T08:00:00Z", "stop": "2026-01-05T09:00:00Z",
        "duration": 3_600, "tags": ["call", "deep", "elsewhere"], "workspace_id": WORKSPACE});
    staged.put(resource("time_entries"), 1, &Form::live(v9)).await;
    put(&mut staged, 2, entry(7, "2026-01-05T08:00:00Z", 3_600, 3, &[8, 9], &json!(null))).await;
    let columns = "time_entry_id, tag_names";
    let all = ["1|call, deep, elsewhere", "2|deep, call"];
    assert_eq!(texts(&mut staged, columns, "wide_entries").await, all);
    let gone = Form { deleted: Some(20), ..Form::live(json!({"name": "deep"})) };
    staged.put(resource("tags"), 8, &gone).await;
    let wanted = ["1|call, elsewhere", "2|call"];
    assert_eq!(texts(&mut staged, columns, "wide_entries").await, wanted);
    // A new tag of the same name.
    staged.put(resource("tags"), 10, &Form::live(json!({"name": "deep"}))).await;
    let wanted = ["1|call, deep, elsewhere", "2|call"];
    assert_eq!(texts(&mut staged, columns, "wide_entries").await, wanted);
}

/// Rounds as the documentation of Toggl says, in whole numbers.
fn rounded(seconds: i64, direction: i64, minutes: i64) -> i64 {
    let step = minutes * 60;
    if step == 0 {
        return seconds;
    }
    let steps = match direction {
        1 => (seconds + step - 1) / step,
        0 => (2 * seconds + step) / (2 * step),
        _ => seconds / step,
    };
    steps * step
}

#[test]
fn durations_are_rounded_as_reports_round_them() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    let minutes = select(vec![0, 1, 5, 6, 10, 12, 15, 30, 60, 240]);
    let seconds = prop_oneof![0..400_000_i64, (0..400_i64).prop_map(|step| step * 150)];
    let durations = proptest::collection::vec((seconds, select(vec![-1_i64, 0, 1]), minutes), 200);
    let config = Config { cases: 20, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&durations, |durations| {
        let column =
            |pick: fn(&(i64, i64, i64)) -> i64| durations.iter().map(pick).collect::<Vec<_>>();
        let sql = "select staging.toggl_rounded(seconds, direction, minutes)
                   from unnest($1::bigint[], $2::bigint[], $3::bigint[]) with ordinality
                       as t(seconds, direction, minutes, place) order by place";
        let query = sqlx::query_scalar(sql)
            .bind(column(|duration| duration.0))
            .bind(column(|duration| duration.1))
            .bind(column(|duration| duration.2));
        let mut staged = staged.borrow_mut();
        let shown: Vec<i64> = runtime.block_on(query.fetch_all(&mut staged.connection)).unwrap();
        for ((seconds, direction, minutes), shown) in durations.iter().zip(shown) {
            let wanted = rounded(*seconds, *direction, *minutes);
            prop_assert_eq!(shown, wanted, "{} {} {}", seconds, direction, minutes);
        }
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn entries_are_rounded_by_the_setting_of_their_workspace() {
    let mut staged = Staged::start().await;
    put_master_data(&mut staged).await;
    for (id, seconds) in [(1, 60), (2, 900), (3, 901)] {
        put(&mut staged, id, entry(7, "2026-01-05T08:00:00Z", seconds, 3, &[], &json!(null))).await;
    }
    let columns = "time_entry_id, seconds, rounding, rounding_minutes, rounded_seconds, round(rounded_hours, 2)";
    let wanted = ["1|60|1|15|900|0.25", "2|900|1|15|900|0.25", "3|901|1|15|1800|0.50"];
    assert_eq!(texts(&mut staged, columns, "rounded_entries").await, wanted);
    // The sum of a group is rounded once.
    let group = "select staging.toggl_rounded(sum(seconds)::bigint, rounding, rounding_minutes)
                 from staging.stg_toggl_track__rounded_entries group by rounding, rounding_minutes";
    let sum: i64 = sqlx::query_scalar(group).fetch_one(&mut staged.connection).await.unwrap();
    assert_eq!(sum, 2_700);
    for hostile in [
        json!({"rounding": 7, "rounding_minutes": 15}),
        json!({"rounding": null, "rounding_minutes": -4}),
        json!({"rounding": 1, "rounding_minutes": 999_999_999_999_999_i64}),
        json!({}),
    ] {
        staged.put(resource("workspaces"), WORKSPACE, &Form::live(hostile)).await;
        let wanted = ["1|60|60", "2|900|900", "3|901|901"];
        let columns = "time_entry_id, seconds, rounded_seconds";
        assert_eq!(texts(&mut staged, columns, "rounded_entries").await, wanted);
    }
}

#[test]
fn amounts_are_added_up_unrounded_and_then_rounded_to_cents() {
    let runtime = Runtime::new().unwrap();
    let staged = RefCell::new(runtime.block_on(Staged::start()));
    // Thousandths of a cent, and the project.
    let amounts = proptest::collection::vec((0..10_000_000_i64, 1..4_i64), 1..12);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&amounts, |amounts| {
        let mut staged = staged.borrow_mut();
        let mut sums = BTreeMap::<i64, i64>::new();
        let shown = runtime.block_on(async {
            let clear = "truncate raw.toggl_track__time_entries_report";
            sqlx::query(clear).execute(&mut staged.connection).await.unwrap();
            for (id, (thousandths, project)) in (1..).zip(&amounts) {
                let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
                let cents: Value = serde_json::from_str(&text).unwrap();
                let data = entry(7, "2026-01-05T08:00:00Z", 60, *project, &[], &cents);
                put(&mut staged, id, data).await;
                *sums.entry(*project).or_default() += thousandths;
            }
            texts(&mut staged, "project_id, (billable_amount * 100)::bigint", "amounts").await
        });
        let wanted: Vec<String> = sums
            .iter()
            .map(|(project, sum)| format!("{project}|{}", (sum + 500) / 1_000))
            .collect();
        prop_assert_eq!(shown, wanted);
        Ok::<_, TestCaseError>(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
