use super::*;
use crate::toggl::{SummaryGroups, SummaryIds};

const WORKSPACE_REPORTS: &str = "/reports/api/v3/workspace/2230991/";

async fn ask_sum(simulator: &Simulator, path: &str, body: &Value) -> Value {
    let path = format!("{WORKSPACE_REPORTS}{path}");
    let response = post(simulator, &path, body.to_string()).await;
    assert_eq!(response.status(), 200, "{path} {body}");
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn summary() -> Value {
    march_with(&json!({
        "grouping": "users", "sub_grouping": "time_entries", "include_time_entry_ids": true,
        "rounding": 0, "rounding_minutes": 0
    }))
}

async fn two_people() -> Simulator {
    with_entries(&[
        entry(4_300_000_001, OWN, "2024-03-01T08:00:00Z", 100),
        entry(4_300_000_002, OWN, "2024-03-02T08:00:00Z", 200),
        entry(4_300_000_003, COLLEAGUE, "2024-03-31T23:30:00Z", 300),
    ])
    .await
}

#[tokio::test]
async fn a_summary_puts_entries_of_one_title_together_and_shows_people_without_entries() {
    let simulator = two_people().await;

    let answer = ask_sum(&simulator, "summary/time_entries", &summary()).await;

    let groups = answer["groups"].as_array().unwrap();
    let of = |id: i64| groups.iter().find(|group| group["id"] == id).unwrap();
    let own = of(OWN)["sub_groups"].as_array().unwrap();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0]["seconds"], 300);
    assert_eq!(own[0]["ids"], json!([4_300_000_001_i64, 4_300_000_002_i64]));
    assert!(groups.iter().any(|group| group["sub_groups"].is_null()), "{answer}");
}

#[tokio::test]
async fn days_of_sums_are_those_of_whose_entry_it_is() {
    let simulator = two_people().await;
    simulator.with_account(|account| account.set_user_time_zone(COLLEAGUE, "Asia/Tokyo"));

    let total = ask_sum(&simulator, "search/time_entries/totals", &march()).await;
    let cells = ask_sum(&simulator, "projects/summary", &march()).await;

    assert_eq!(total["seconds"], 300, "it is April in Tokyo");
    assert_eq!(
        cells,
        json!([{"billable_seconds": 0, "tracked_seconds": 300, "user_id": OWN}]),
        "without a project there is no project_id"
    );
}

#[tokio::test]
async fn sums_are_rounded_unless_both_zeros_are_sent() {
    let simulator = two_people().await;
    simulator.configure(|behaviour| behaviour.report_rounding_minutes = Some(15));

    let path = "search/time_entries/totals";
    assert_eq!(ask_sum(&simulator, path, &march()).await["seconds"], 1_800);
    assert_eq!(ask_sum(&simulator, path, &summary_days()).await["seconds"], 300);
}

fn summary_days() -> Value {
    march_with(&json!({"rounding": 0, "rounding_minutes": 0}))
}

#[tokio::test]
async fn ids_are_left_out_groups_split_and_answers_cut_where_that_is_asked_for() {
    let simulator = two_people().await;
    simulator.configure(|behaviour| {
        behaviour.summary_groups = SummaryGroups::OfOne;
        behaviour.summary_ids = SummaryIds::LeftOut;
    });
    let of_own = |answer: &Value| {
        let groups = answer["groups"].as_array().unwrap().clone();
        groups.into_iter().find(|group| group["id"] == OWN).unwrap()["sub_groups"].clone()
    };
    let own = of_own(&ask_sum(&simulator, "summary/time_entries", &summary()).await);
    assert_eq!(own.as_array().unwrap().len(), 2);
    assert!(own[0].get("ids").is_none(), "{own}");

    simulator.configure(|behaviour| behaviour.summary_cap = Some(1));
    let own = of_own(&ask_sum(&simulator, "summary/time_entries", &summary()).await);
    assert_eq!(own.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_of_named_entries_shows_no_others_and_needs_no_days() {
    let simulator = two_people().await;

    let rows = report(&simulator, &json!({"time_entry_ids": [4_300_000_003_i64, 5]})).await;

    assert_eq!(entry_ids(&rows), [4_300_000_003]);
}
