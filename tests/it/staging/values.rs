//! What the views make of records: as Toggl sends them, and with every oddity it is known for.

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::toggl::Account;
use tests::world::World;

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE};
use crate::staging::staged::{Form, Staged, with};

/// The first record of a fixture, in the form in which a fetcher publishes it.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let records: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let first = if records.is_array() { records[0].clone() } else { records };
    if first["time_entries"].is_array() {
        let mut entry = first["time_entries"][0].clone();
        for (name, value) in first.as_object().unwrap() {
            if name != "time_entries" && name != "row_number" {
                entry[name] = value.clone();
            }
        }
        return entry;
    }
    first
}

/// What the views show of the fixtures' first records, without what is null.
fn expected() -> impl Iterator<Item = (&'static str, Value)> {
    of_accounts().into_iter().chain(of_workspaces()).chain(of_entries())
}

fn of_accounts() -> [(&'static str, Value); 3] {
    [
        (
            "me",
            json!({"user_id": 1, "user_name": "Test User", "email": "user@example.com",
                "timezone": "Europe/Berlin", "default_workspace_id": WORKSPACE,
                "beginning_of_week": 1, "toggl_accounts_id": "AAAAAAAAAAAAAAAAAAAAAA",
                "is_openid_enabled": true, "has_password": true, "oauth_providers": ["google"],
                "image_url": "https://assets.track.toggl.com/images/example.png",
                "created_at": "2016-03-20T20:40:08.017845+00:00",
                "updated_at": "2024-11-26T17:13:54.850204+00:00",
                "authorization_updated_at": "2024-07-02T14:55:08.008327+00:00"}),
        ),
        (
            "workspaces",
            json!({"workspace_id": 1, "organization_id": 2_108_152,
                "workspace_name": "Workspace 01", "role": "admin", "is_admin": true,
                "is_premium": false, "is_business": false, "default_currency": "USD",
                "rounding": 1, "rounding_seconds": 0, "only_admins_may_create_projects": false,
                "only_admins_may_create_tags": false, "only_admins_see_billable_rates": false,
                "only_admins_see_team_dashboard": false, "is_public_project_data_limited": false,
                "is_billable_by_default": true, "is_private_by_default": true,
                "is_billable_enforced": false, "is_reports_collapsed": false,
                "is_start_stop_hidden": false, "is_ical_enabled": true,
                "logo_url": "https://assets.track.toggl.com/images/workspace.jpg"}),
        ),
        (
            "organizations",
            json!({"organization_id": 1, "organization_name": "Organization 01",
                "pricing_plan_id": 0, "pricing_plan_name": "Free", "is_enterprise": false,
                "is_multi_workspace_enabled": false, "is_unified": false, "is_admin": true,
                "is_owner": true, "user_count": 1, "max_workspaces": 20, "is_trial": false,
                "is_trial_available": true, "can_have_trial": true,
                "created_at": "2020-07-01T07:42:35.365613+00:00"}),
        ),
    ]
}

fn of_workspaces() -> [(&'static str, Value); 9] {
    [
        (
            "projects",
            json!({"project_id": 1, "workspace_id": WORKSPACE, "client_id": 64_890_712,
                "project_name": "Project 03", "status": "active", "is_active": true,
                "is_billable": false, "is_private": true, "is_shared": false, "is_pinned": false,
                "is_recurring": false, "can_track_time": true, "actual_seconds": 5500,
                "task_count": 0, "color": "#d92b2b", "start_date": "2024-05-16",
                "created_at": "2024-05-16T12:40:29+00:00"}),
        ),
        (
            "clients",
            json!({"client_id": 1, "workspace_id": WORKSPACE, "client_name": "Client 01",
                "is_archived": false, "creator_id": USER}),
        ),
        (
            "tags",
            json!({"tag_id": 1, "workspace_id": WORKSPACE, "tag_name": "Tag 01",
                "creator_id": USER}),
        ),
        (
            "users",
            json!({"user_id": 1, "workspace_id": WORKSPACE, "user_name": "Test User",
                "email": "user@example.com", "role": "admin", "is_admin": true,
                "has_joined": true, "is_deactivated": false}),
        ),
        (
            "groups",
            json!({"group_id": 1, "workspace_id": WORKSPACE, "group_name": "Group 01",
                "has_users": true}),
        ),
        (
            "tasks",
            json!({"task_id": 1, "workspace_id": WORKSPACE, "project_id": 63_342_063,
                "task_name": "Task 01", "is_active": true, "is_recurring": false,
                "tracked_seconds": 3600}),
        ),
        (
            "project_users",
            json!({"project_user_id": 1, "workspace_id": WORKSPACE, "project_id": 63_342_063,
                "user_id": USER, "is_manager": true}),
        ),
        (
            "workspace_users",
            json!({"workspace_user_id": 1, "workspace_id": WORKSPACE, "user_id": USER,
                "user_name": "Test User", "email": "user@example.com",
                "timezone": "Europe/Berlin", "role": "user", "is_admin": false,
                "is_workspace_admin": false, "is_organization_admin": false, "has_joined": true,
                "is_deactivated": false, "is_direct": true, "is_2fa_enabled": false,
                "group_ids": []}),
        ),
        (
            "inventories",
            json!({"inventory_id": 1, "workspace_id": WORKSPACE, "asking_user_id": 2_166_398,
                "is_admin": true, "from_date": "2025-01-01", "to_date": "2025-12-31",
                "is_by_entry": true, "is_arrived": true, "is_superseded": false, "user_count": 2,
                "entry_count": 815, "tracked_seconds": 2_928_600}),
        ),
    ]
}

fn of_entries() -> [(&'static str, Value); 2] {
    [
        (
            "time_entries",
            json!({"time_entry_id": 1, "workspace_id": WORKSPACE, "user_id": USER,
                "project_id": 63_342_328, "description": "Description 04", "tags": [],
                "tag_ids": [], "is_billable": false, "started_at": "2024-12-16T17:05:25+00:00",
                "stopped_at": "2024-12-16T18:07:05+00:00", "duration_seconds": 3700,
                "is_running": false, "source": "v9"}),
        ),
        (
            "time_entries_report",
            json!({"time_entry_id": 1, "workspace_id": WORKSPACE, "user_id": 30_809_356,
                "user_name": "test user", "project_id": 202_793_182,
                "description": "sample description", "tags": [], "tag_ids": [16_501_871],
                "is_billable": false, "currency": "USD",
                "started_at": "2024-07-30T08:13:46+00:00",
                "stopped_at": "2024-07-30T08:14:38+00:00", "duration_seconds": 52,
                "is_running": false}),
        ),
    ]
}

#[tokio::test]
async fn what_toggl_sends_is_shown_in_columns_and_what_is_deleted_is_hidden() {
    let mut staged = Staged::start().await;
    for (name, wanted) in expected() {
        let resource = resource(name);
        let live = Form::live(fixture(name));
        staged.put(resource, 2, &Form { deleted: Some(20), ..live.clone() }).await;
        assert_eq!(staged.typed(resource, live.data).await, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_sync_fills_the_views() {
    let world = World::start(Account::sample_at(Timestamp::now())).await.unwrap();
    world.sync_and_load(&["--days", "7"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    for resource in shared::catalogue::CATALOGUE.iter().filter(|resource| resource.by_default) {
        let sql = format!(
            "select (select count(*) from staging.stg_{table}),
                    (select count(*) from raw.{table} where deleted_at is null)",
            table = resource.table()
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
        let (shown, live): (i64, i64) = query.fetch_one(&mut connection).await.unwrap();
        assert!(shown > 0 && shown == live, "{}: {shown} of {live}", resource.name);
    }
}

#[tokio::test]
async fn either_spelling_of_an_id_is_read() {
    let mut staged = Staged::start().await;
    for (name, record, column) in [
        ("projects", json!({"cid": 7}), "client_id"),
        ("projects", json!({"client_id": null, "cid": 7}), "client_id"),
        ("projects", json!({"client_id": 7, "cid": 8}), "client_id"),
        ("tasks", json!({"pid": 7}), "project_id"),
        ("tasks", json!({"uid": 7}), "user_id"),
        ("tasks", json!({"cid": 7}), "client_id"),
        ("project_users", json!({"pid": 7}), "project_id"),
        ("project_users", json!({"uid": 7}), "user_id"),
        ("project_users", json!({"group_id": null, "gid": 7}), "group_id"),
        ("workspace_users", json!({"user_id": 7}), "user_id"),
        ("time_entries", json!({"pid": 7}), "project_id"),
        ("time_entries", json!({"project_id": null, "tid": 7}), "task_id"),
        ("time_entries", json!({"uid": 7}), "user_id"),
    ] {
        let row = staged.typed(resource(name), record.clone()).await;
        assert_eq!(row[column], 7, "{name} {record}");
    }
    for record in [json!({"workspace_id": 7}), json!({"wid": 7})] {
        staged.put(resource("time_entries"), 1, &Form::live(record.clone())).await;
        let anywhere = "update raw.toggl_track__time_entries set workspace_id = 0";
        sqlx::query(anywhere).execute(&mut staged.connection).await.unwrap();
        assert_eq!(staged.rows("time_entries").await[0]["workspace_id"], 7, "{record}");
    }
}

#[tokio::test]
async fn odd_values_cost_their_own_column_alone() {
    let mut staged = Staged::start().await;
    let (_, wanted) = expected().find(|(name, _)| *name == "projects").unwrap();
    for (field, value, column, shown) in [
        ("actual_seconds", json!(5500.0), "actual_seconds", json!(5500)),
        ("actual_seconds", json!(5500.6), "actual_seconds", json!(5501)),
        ("actual_seconds", json!("5500"), "actual_seconds", json!(5500)),
        ("actual_seconds", json!(1e30), "actual_seconds", json!("absent")),
        ("actual_seconds", json!(""), "actual_seconds", json!("absent")),
        ("actual_seconds", json!([1]), "actual_seconds", json!("absent")),
        ("is_private", json!(null), "is_private", json!("absent")),
        ("is_private", json!(1), "is_private", json!("absent")),
        ("created_at", json!(""), "created_at", json!("absent")),
        ("created_at", json!("2024-02-30T00:00:00Z"), "created_at", json!("absent")),
        ("created_at", json!(17), "created_at", json!("absent")),
        ("start_date", json!(""), "start_date", json!("absent")),
        ("start_date", json!("2024-02-30"), "start_date", json!("absent")),
        ("start_date", json!("2024-05-17T00:00:00Z"), "start_date", json!("2024-05-17")),
        ("rate", json!(120.5), "hourly_rate", json!(120.5)),
        ("rate", json!("a lot"), "hourly_rate", json!("absent")),
        ("current_period", json!("?"), "current_period_start_date", json!("absent")),
        (
            "current_period",
            json!({"start_date": "2024-05-01"}),
            "current_period_start_date",
            json!("2024-05-01"),
        ),
        ("name", json!(null), "project_name", json!("absent")),
        ("status", json!(""), "status", json!("absent")),
    ] {
        let record = with(&fixture("projects"), &json!({field: value}));
        let row = staged.typed(resource("projects"), record).await;
        assert_eq!(row, with(&wanted, &json!({column: shown})), "{field}: {value}");
    }
    for not_an_object in [json!(null), json!([]), json!("text"), json!(1)] {
        let row = staged.typed(resource("projects"), not_an_object.clone()).await;
        assert_eq!(row, json!({"project_id": 1, "workspace_id": WORKSPACE}), "{not_an_object}");
    }
}

#[tokio::test]
async fn money_is_in_units_and_time_in_seconds_whatever_toggl_counts_in() {
    let mut staged = Staged::start().await;
    let task = staged.typed(resource("tasks"), json!({"tracked_seconds": 90_500})).await;
    assert_eq!(task["tracked_seconds"], 91);
    let rates = json!({"billable_amount_in_cents": 1250, "hourly_rate_in_cents": 7525});
    let entry = staged.typed(resource("time_entries_report"), rates).await;
    assert_eq!((&entry["billable_amount"], &entry["hourly_rate"]), (&json!(12.5), &json!(75.25)));
    let member = json!({"rate": 75.25, "labor_cost": 40, "working_hours_in_minutes": 480});
    let member = staged.typed(resource("workspace_users"), member).await;
    assert_eq!((&member["hourly_rate"], &member["labor_cost"]), (&json!(75.25), &json!(40)));
    assert_eq!(member["working_hours_seconds"], 28_800);
}
