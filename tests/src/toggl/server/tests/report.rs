use serde_json::json;

use super::*;
use crate::toggl::{Running, with_fields};

mod order;
mod paging;
mod rows;
mod sums;

const REPORT: &str = "/reports/api/v3/workspace/2230991/search/time_entries";

async fn post(simulator: &Simulator, path: &str, body: String) -> Response {
    let request = client().post(simulator.url().join(path).unwrap());
    request.basic_auth(TOKEN, Some("api_token")).body(body).send().await.unwrap()
}

async fn ask_report(simulator: &Simulator, body: &Value) -> Response {
    post(simulator, REPORT, body.to_string()).await
}

async fn report(simulator: &Simulator, body: &Value) -> Vec<Value> {
    let response = ask_report(simulator, body).await;
    assert_eq!(response.status(), 200, "{body}");
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The ids of the entries in the rows, in their order.
fn entry_ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().flat_map(|row| ids(row["time_entries"].as_array().unwrap())).collect()
}

/// An entry of the first workspace, with an id above 2^32.
fn entry(id: i64, user_id: i64, start: &str, seconds: i64) -> String {
    let start: Timestamp = start.parse().unwrap();
    let text = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let stop = start + SignedDuration::from_secs(seconds);
    json!({
        "id": id, "user_id": user_id, "workspace_id": 2_230_991, "project_id": null,
        "task_id": null, "billable": false, "description": "x", "tags": [], "tag_ids": [],
        "start": text(start), "stop": text(stop), "duration": seconds, "at": text(stop),
        "server_deleted_at": null
    })
    .to_string()
}

const OWN: i64 = 2_166_398;
const COLLEAGUE: i64 = 2_166_399;

/// The users of the fixtures, and these entries.
async fn with_entries(entries: &[String]) -> Simulator {
    let mut account = Account::empty();
    for user in Account::sample().records(List::Users, 2_230_991) {
        account.put(List::Users, 2_230_991, user.text());
    }
    for text in entries {
        account.put_time_entry(text);
    }
    Simulator::start(account).await
}

fn march() -> Value {
    json!({"start_date": "2024-03-01", "end_date": "2024-03-31"})
}

/// March, and something more.
fn march_with(more: &Value) -> Value {
    let mut body = march();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn what_toggl_refuses_is_400_with_a_json_string() {
    let simulator = sample().await;
    let days = |first: &str, last: &str| json!({"start_date": first, "end_date": last}).to_string();
    for (body, expected) in [
        (String::new(), "JSON is not valid"),
        ("{".to_owned(), "JSON is not valid"),
        (r#"{"page_size":"50"}"#.to_owned(), "JSON is not valid"),
        ("{}".to_owned(), "at least one parameter must be set"),
        (r#"{"page_size":50,"user_ids":[]}"#.to_owned(), "at least one parameter must be set"),
        (days("2005-12-31", "2006-01-01"), "start_date must be between 2006-01-01 and 2030-01-01"),
        (days("2029-12-31", "2030-01-02"), "end_date must be between 2006-01-01 and 2030-01-01"),
        (days("2023-01-01", "2024-01-02"), "the date range must not exceed 366 days"),
        (days("2024-01-02", "2024-01-01"), "end_date must not be earlier than start_date"),
        (days("2024-1-1", "2024-01-01"), "start_date is not a valid date"),
        (days("2024-01-01T00:00:00Z", "2024-01-01"), "start_date is not a valid date"),
        (march_with(&json!({"order_dir": "asc"})).to_string(), "order_dir must be"),
        (march_with(&json!({"rounding_minutes": 7})).to_string(), "rounding_minutes must be"),
    ] {
        let response = post(&simulator, REPORT, body.clone()).await;
        assert_eq!(response.status(), 400, "{body}");
        let text: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(text.as_str().unwrap().starts_with(expected), "{body}: {text}");
    }
}

#[tokio::test]
async fn a_span_of_366_days_at_either_end_of_the_calendar_is_answered() {
    let simulator = sample().await;

    for (first, last) in [
        ("2023-01-01", "2024-01-01"),
        ("2024-01-01", "2024-12-31"),
        ("2006-01-01", "2006-01-01"),
        ("2029-01-01", "2030-01-01"),
    ] {
        report(&simulator, &json!({"start_date": first, "end_date": last})).await;
    }
    report(&simulator, &json!({"user_ids": [1]})).await;
}

#[tokio::test]
async fn what_would_be_answered_wrongly_is_said_not_to_be_simulated() {
    let simulator = sample().await;

    for more in [
        json!({"project_ids": [1]}),
        json!({"pagesize": 50}),
        json!({"grouped": true}),
        json!({"enrich_response": true}),
        json!({"order_by": "last_update"}),
    ] {
        let response = ask_report(&simulator, &march_with(&more)).await;
        assert_eq!(response.status(), 501, "{more}");
    }
    let harmless = json!({"grouped": false, "enrich_response": false, "order_by": "date"});
    report(&simulator, &march_with(&harmless)).await;
}

#[tokio::test]
async fn days_are_inclusive_and_cut_in_the_time_zone_of_each_owner() {
    let simulator = with_entries(&[
        entry(1, OWN, "2024-03-01T22:59:59Z", 5),
        entry(2, OWN, "2024-03-01T23:00:00Z", 5),
        entry(3, OWN, "2024-03-02T22:59:59Z", 5),
        entry(4, OWN, "2024-03-02T23:00:00Z", 5),
        entry(5, COLLEAGUE, "2024-03-02T04:59:59Z", 5),
        entry(6, COLLEAGUE, "2024-03-02T05:00:00Z", 5),
        entry(7, COLLEAGUE, "2024-03-03T04:59:59Z", 5),
        entry(8, COLLEAGUE, "2024-03-03T05:00:00Z", 5),
    ])
    .await;
    let second = json!({"start_date": "2024-03-02", "end_date": "2024-03-02", "order_dir": "ASC"});
    let from_second = json!({"start_date": "2024-03-02", "order_dir": "ASC"});
    let until_second = json!({"end_date": "2024-03-02", "order_dir": "ASC"});

    // Nobody has said otherwise: the colleague lives in Berlin too.
    assert_eq!(entry_ids(&report(&simulator, &second).await), [2, 5, 6, 3]);
    simulator.with_account(|account| account.set_user_time_zone(COLLEAGUE, "America/New_York"));
    assert_eq!(entry_ids(&report(&simulator, &second).await), [2, 6, 3, 7]);
    assert_eq!(entry_ids(&report(&simulator, &from_second).await), [2, 6, 3, 4, 7, 8]);
    assert_eq!(entry_ids(&report(&simulator, &until_second).await), [1, 2, 5, 6, 3, 7]);
    simulator.with_account(|account| account.set_user_time_zone(OWN, "UTC"));
    assert_eq!(entry_ids(&report(&simulator, &second).await), [6, 3, 4, 7]);
}

#[tokio::test]
async fn entries_of_others_are_only_for_admins_and_silently_left_out_else() {
    let simulator = with_entries(&[
        entry(1, OWN, "2024-03-02T10:00:00Z", 5),
        entry(2, COLLEAGUE, "2024-03-02T11:00:00Z", 5),
    ])
    .await;
    let as_role = |role: &str, admin: &str| {
        simulator.with_account(|account| {
            let workspace = account.workspaces()[0].text().to_owned();
            account.put_workspace(&with_fields(&workspace, &[("role", role), ("admin", admin)]));
        });
    };

    for (role, admin, expected) in [
        (r#""admin""#, "true", vec![2, 1]),
        (r#""admin""#, "false", vec![2, 1]),
        ("null", "true", vec![2, 1]),
        (r#""user""#, "false", vec![1]),
    ] {
        as_role(role, admin);
        assert_eq!(entry_ids(&report(&simulator, &march()).await), expected, "{role} {admin}");
    }
    let others = march_with(&json!({"user_ids": [COLLEAGUE]}));
    assert!(report(&simulator, &others).await.is_empty());
    as_role(r#""admin""#, "true");
    assert_eq!(entry_ids(&report(&simulator, &others).await), [2]);
    assert_eq!(entry_ids(&report(&simulator, &json!({"user_ids": [OWN]})).await), [1]);
}

#[tokio::test]
async fn reports_hold_what_is_of_the_workspace_stopped_and_not_deleted() {
    let other_workspace = with_fields(
        &entry(2, OWN, "2024-03-02T10:00:00Z", 5),
        &[("workspace_id", "7"), ("wid", "7")],
    );
    let running = with_fields(
        &entry(3, OWN, "2024-03-02T10:00:00Z", 5),
        &[("stop", "null"), ("duration", "-1709373601")],
    );
    let entries = [entry(1, OWN, "2024-03-02T10:00:00Z", 5), other_workspace, running];
    let simulator = with_entries(&entries).await;
    simulator.with_account(|account| {
        account.put_time_entry(&entry(4, OWN, "2024-03-02T10:00:00Z", 5));
        account.delete_time_entry(4, "2024-03-03T10:00:00Z".parse().unwrap());
    });
    simulator.configure(|behaviour| behaviour.now = "2024-03-02T10:01:00Z".parse().ok());

    assert_eq!(entry_ids(&report(&simulator, &march()).await), [1]);
    simulator.configure(|behaviour| behaviour.report_running = Running::WithoutStop);
    let rows = report(&simulator, &march()).await;
    assert_eq!(entry_ids(&rows), [3, 1]);
    let running = &rows[0]["time_entries"][0];
    assert_eq!((&running["stop"], &running["seconds"]), (&Value::Null, &60.into()));
    assert_eq!(running["start"], "2024-03-02T11:00:00+01:00");
}

#[tokio::test]
async fn reports_are_posted_below_the_singular_workspace_and_paid_by_the_organization() {
    let simulator = sample().await;
    let window = Duration::from_hours(1);
    simulator.limit_quota(QuotaLimits { me: 0, organization: 2, window });
    let body = march().to_string();

    assert_eq!(status(&simulator, REPORT).await, 405);
    let plural = REPORT.replace("workspace/", "workspaces/");
    assert_eq!(post(&simulator, &plural, body.clone()).await.status(), 404);
    let unknown = REPORT.replace("2230991", "1");
    assert_eq!(post(&simulator, &unknown, body.clone()).await.status(), 403);
    let answered = ask_report(&simulator, &march()).await;
    assert_eq!(header(&answered, "x-toggl-quota-remaining"), Some("0"));
    assert_eq!(header(&answered, "x-service-level"), Some("GREEN"));
    assert_eq!(ask_report(&simulator, &march()).await.status(), 402);
    assert_eq!(simulator.requests().last().unwrap().body, body);
    assert_eq!(status(&simulator, &format!("{WORKSPACE}/tags")).await, 402);
}

#[tokio::test]
async fn a_report_without_rows_is_an_empty_list_or_null() {
    let simulator = with_entries(&[]).await;

    assert_eq!(ask_report(&simulator, &march()).await.bytes().await.unwrap(), "[]");
    simulator.configure(|behaviour| behaviour.empty_lists_as_null = true);
    assert_eq!(ask_report(&simulator, &march()).await.bytes().await.unwrap(), "null");
}
