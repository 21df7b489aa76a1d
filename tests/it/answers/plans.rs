//! What was planned: estimates of projects and tasks, and working hours.

use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::expected::rows::resource;
use crate::given::batches::WORKSPACE;
use crate::staging::staged::{Form, Staged};

async fn put(staged: &mut Staged, name: &str, id: i64, data: Value) {
    staged.put(resource(name), id, &Form::live(data)).await;
}

/// An entry of a user of two hours.
async fn put_entry(staged: &mut Staged, id: i64, start: &str, more: Value) {
    let start: jiff::Timestamp = start.parse().unwrap();
    let stop = start + jiff::SignedDuration::from_hours(2);
    let mut data = json!({"start": start.to_string(), "stop": stop.to_string(), "duration": 7_200,
        "user_id": 7, "workspace_id": WORKSPACE});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    put(staged, "time_entries", id, data).await;
}

async fn rows(staged: &mut Staged, sql: &str) -> Vec<String> {
    let sql = sqlx::AssertSqlSafe(format!("select concat_ws('|', {sql}"));
    sqlx::query_scalar(sql).fetch_all(&mut staged.connection).await.unwrap()
}

#[tokio::test]
async fn an_estimate_is_held_against_what_was_tracked() {
    let mut staged = Staged::start().await;
    put(&mut staged, "clients", 4, json!({"name": "Acme"})).await;
    let website = json!({"name": "Website", "client_id": 4, "estimated_seconds": 36_000, "actual_seconds": 14_000});
    put(&mut staged, "projects", 3, website).await;
    let retainer = json!({"name": "Retainer", "recurring": true, "estimated_seconds": 7_200,
        "current_period": {"start_date": "2026-01-01", "end_date": "2026-01-31"}});
    put(&mut staged, "projects", 5, retainer).await;
    put(&mut staged, "projects", 6, json!({"name": "Free"})).await;
    // Toggl tells what was tracked on a task in milliseconds.
    let design = json!({"name": "Design", "project_id": 3, "estimated_seconds": 3_600, "tracked_seconds": 7_200_000});
    put(&mut staged, "tasks", 9, design).await;
    put_entry(&mut staged, 1, "2026-01-05T08:00:00Z", json!({"project_id": 3, "task_id": 9})).await;
    put_entry(&mut staged, 2, "2026-01-06T08:00:00Z", json!({"project_id": 3})).await;
    put_entry(&mut staged, 3, "2026-01-31T08:00:00Z", json!({"project_id": 5})).await;
    put_entry(&mut staged, 4, "2026-02-01T08:00:00Z", json!({"project_id": 5})).await;
    put_entry(&mut staged, 5, "2026-01-06T08:00:00Z", json!({"project_id": 6})).await;
    let wanted = [
        "Acme|Website|36000|14400|14000|10.00|4.00|6.00|0.40",
        "Acme|Website|Design|3600|7200|7200|1.00|2.00|-1.00|2.00",
        "Retainer|2026-01-01|2026-01-31|7200|7200|2.00|2.00|0.00|1.00",
    ];
    let sql = "client_name, project_name, task_name, counted_from_date, counted_to_date,
        estimated_seconds, actual_seconds, toggl_seconds, round(estimated_hours, 2), round(actual_hours, 2),
        round(remaining_hours, 2), round(used_share, 2))
        from staging.stg_toggl_track__estimates order by project_id, task_id nulls first";
    assert_eq!(rows(&mut staged, sql).await, wanted);
}

#[tokio::test]
async fn utilisation_is_by_person_and_week_against_their_own_hours_or_the_workspaces() {
    let mut staged = Staged::start().await;
    let sql =
        "user_id, week, seconds, billable_seconds, working_seconds, round(utilisation_share, 3),
        round(billable_share, 3)) from staging.stg_toggl_track__utilisation order by week";
    put_entry(&mut staged, 1, "2026-01-05T08:00:00Z", json!({"billable": true})).await;
    put_entry(&mut staged, 2, "2026-01-11T08:00:00Z", json!({"billable": false})).await;
    // Over midnight from Sunday to Monday.
    put_entry(&mut staged, 3, "2026-01-11T23:00:00Z", json!({})).await;
    let unknown = ["7|2026-01-05|18000|7200", "7|2026-01-12|3600|0"];
    assert_eq!(rows(&mut staged, sql).await, unknown);
    for hostile in [json!(0), json!(-60), json!("x")] {
        put(&mut staged, "workspaces", WORKSPACE, json!({"working_hours_in_minutes": hostile}))
            .await;
        assert_eq!(rows(&mut staged, sql).await, unknown, "{hostile}");
    }
    put(&mut staged, "workspaces", WORKSPACE, json!({"working_hours_in_minutes": 600})).await;
    let wanted =
        ["7|2026-01-05|18000|7200|36000|0.500|0.200", "7|2026-01-12|3600|0|36000|0.100|0.000"];
    assert_eq!(rows(&mut staged, sql).await, wanted);
    for id in [70, 71] {
        let member = json!({"uid": 7, "working_hours_in_minutes": 1_200});
        put(&mut staged, "workspace_users", id, member).await;
    }
    let wanted =
        ["7|2026-01-05|18000|7200|72000|0.250|0.100", "7|2026-01-12|3600|0|72000|0.050|0.000"];
    assert_eq!(rows(&mut staged, sql).await, wanted);
}

#[tokio::test]
async fn who_may_read_the_views_may_use_what_they_reckon_with() {
    let mut staged = Staged::start().await;
    crate::staging::catalogue::become_reader(&mut staged.connection).await;
    for sql in [
        "select staging.toggl_rounded(61, 1, 1), staging.toggl_week(current_date, 1)",
        "set toggl_track.time_zone = 'Asia/Chita'",
        "select staging.toggl_chosen_time_zone(), staging.toggl_day_start(current_date, 'Europe/Berlin')",
        "select day, tags from staging.stg_toggl_track__daily_entries",
    ] {
        let done = staged.connection.execute(sql).await;
        assert!(done.is_ok(), "{sql}: {done:?}");
    }
    let refused = staged.connection.execute("select from raw.toggl_track__typed_entries").await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
}
