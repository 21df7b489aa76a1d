//! Every column of a view shows something: one that read a field which Toggl does not send would be null in
//! every row, and nobody would notice.

use serde_json::{Value, json};
use shared::catalogue::CATALOGUE;

use crate::expected::rows::resource;
use crate::staging::staged::{Form, Staged, with};
use crate::staging::values::fixture;

/// A resource, what its fixture's first record lacks of what Toggl may send, and what the view shows of that.
type Addition = (&'static str, Value, Value);

const THEN: &str = "2024-05-16T12:40:29Z";

fn additions() -> impl Iterator<Item = Addition> {
    let special = || of_accounts().into_iter().chain(of_lists()).chain(of_members());
    special().chain(without_any(special)).chain(of_entries())
}

fn of_accounts() -> [Addition; 3] {
    [
        (
            "me",
            json!({"openid_email": "user@example.org", "2fa_enabled": true, "country_id": 81}),
            json!({"openid_email": "user@example.org", "is_2fa_enabled": true, "country_id": 81}),
        ),
        (
            "workspaces",
            json!({"default_hourly_rate": 90.5, "rate_last_updated": THEN, "last_modified": THEN,
                "max_data_retention_days": 30, "suspended_at": THEN,
                "working_hours_in_minutes": 480}),
            json!({"default_hourly_rate": 90.5, "max_data_retention_days": 30,
                "working_hours_seconds": 28_800}),
        ),
        (
            "organizations",
            json!({"max_data_retention_days": 30, "suspended_at": THEN,
                "trial_info": {"trial": true, "trial_available": false, "can_have_trial": false,
                    "trial_plan_id": 5, "last_pricing_plan_id": 6,
                    "trial_end_date": "2026-01-31", "next_payment_date": "2026-02-01"}}),
            json!({"max_data_retention_days": 30, "is_trial": true, "trial_plan_id": 5,
                "last_pricing_plan_id": 6, "trial_end_date": "2026-01-31",
                "next_payment_date": "2026-02-01"}),
        ),
    ]
}

/// What lists have in common that are linked with another system.
fn linked(mut record: Value, mut shown: Value) -> (Value, Value) {
    for (field, column, value) in [
        ("integration_provider", "integration_provider", "jira"),
        ("integration_ext_type", "integration_external_type", "issue"),
        ("integration_ext_id", "integration_external_id", "J-1"),
    ] {
        record[field] = json!(value);
        shown[column] = json!(value);
    }
    (record, shown)
}

fn of_lists() -> [Addition; 4] {
    let (project, project_shown) = linked(
        json!({"auto_estimates": true, "end_date": "2026-01-31", "estimated_seconds": 3600,
            "external_reference": "P-1", "fixed_fee": 1200.5, "template": false, "template_id": 3,
            "currency": "EUR", "rate": 75.25, "rate_last_updated": THEN,
            "current_period": {"start_date": "2026-01-01", "end_date": "2026-01-31"}}),
        json!({"has_auto_estimates": true, "end_date": "2026-01-31", "estimated_seconds": 3600,
            "external_reference": "P-1", "fixed_fee": 1200.5, "is_template": false,
            "template_id": 3, "current_period_end_date": "2026-01-31"}),
    );
    let (client, client_shown) = linked(
        json!({"notes": "Pays late.", "external_reference": "C-1"}),
        json!({"notes": "Pays late.", "external_reference": "C-1"}),
    );
    let (tag, tag_shown) = linked(json!({}), json!({}));
    let (task, task_shown) = linked(
        json!({"client_id": 4, "user_id": 5, "estimated_seconds": 7200, "external_reference": "T-1",
            "rate": 80, "rate_last_updated": THEN}),
        json!({"client_id": 4, "user_id": 5, "estimated_seconds": 7200, "external_reference": "T-1",
            "hourly_rate": 80}),
    );
    [
        ("projects", project, project_shown),
        ("clients", client, client_shown),
        ("tags", tag, tag_shown),
        ("tasks", task, task_shown),
    ]
}

fn of_members() -> [Addition; 3] {
    [
        ("inventories", json!({"fault": "it was cut"}), json!({"fault": "it was cut"})),
        (
            "project_users",
            json!({"group_id": 8, "rate": 75.25, "rate_last_updated": THEN, "labor_cost": 40,
                "labor_cost_last_updated": THEN}),
            json!({"group_id": 8, "hourly_rate": 75.25, "labor_cost": 40}),
        ),
        (
            "workspace_users",
            json!({"avatar_file_name": "me.png", "group_ids": [8], "role_id": 2, "rate": 75.25,
                "rate_last_updated": THEN, "labor_cost": 40, "labor_cost_last_updated": THEN,
                "view_edit_billable_rates": true, "view_edit_labor_costs": false,
                "working_hours_in_minutes": 480}),
            json!({"avatar_file_name": "me.png", "group_ids": [8], "role_id": 2,
                "can_edit_billable_rates": true, "can_edit_labor_costs": false,
                "working_hours_seconds": 28_800}),
        ),
    ]
}

/// Resources of which the fixture's first record has all that Toggl may send.
fn without_any<T: Iterator<Item = Addition>>(
    special: impl Fn() -> T,
) -> impl Iterator<Item = Addition> {
    let others = CATALOGUE.iter().filter(move |resource| {
        !resource.is_time_entry() && special().all(|(name, ..)| name != resource.name)
    });
    others.map(|resource| (resource.name, json!({}), json!({})))
}

fn of_entries() -> [Addition; 2] {
    let amounts = json!({"billable_amount": 12.5, "hourly_rate": 75.25, "currency": "USD"});
    [
        // First, for the view of all entries shows its amounts.
        (
            "time_entries_report",
            json!({"task_id": 9, "billable_amount_in_cents": 1250, "hourly_rate_in_cents": 7525}),
            with(&amounts, &json!({"task_id": 9})),
        ),
        ("time_entries", json!({"task_id": 9}), with(&amounts, &json!({"task_id": 9}))),
    ]
}

#[tokio::test]
async fn every_column_of_a_view_shows_a_field_that_toggl_sends() {
    let mut staged = Staged::start().await;
    let mut silent = Vec::new();
    for (name, record, shown) in additions() {
        let record = with(&fixture(name), &record);
        // Newer than the report, so that the row of all entries is its own.
        let fetched = if name == "time_entries" { 20 } else { 10 };
        let form = Form { modified: Some(fetched - 5), fetched, ..Form::live(record) };
        staged.put(resource(name), 1, &form).await;
        let row = staged.whole_row(name).await;
        for (column, value) in shown.as_object().unwrap() {
            assert_eq!(&row[column], value, "{name}.{column}");
        }
        let nulls = row.as_object().unwrap().iter().filter(|(_, value)| value.is_null());
        silent.extend(nulls.map(|(column, _)| format!("{name}.{column}")));
    }
    assert!(silent.is_empty(), "null, whatever Toggl sends: {silent:#?}");
    for resource in CATALOGUE {
        let is_here = additions().any(|(name, ..)| name == resource.name);
        assert!(is_here, "no record shows what the columns of {} hold", resource.name);
    }
}
