//! The view of wide entries: names without joins, and the local day, week and month of each.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};

use crate::expected::rows::resource;
use crate::given::batches::{USER, WORKSPACE};
use crate::staging::staged::{Form, Staged, with};

fn entry() -> Value {
    json!({"start": "2026-03-01T23:30:00Z", "stop": "2026-03-02T00:15:00Z", "duration": 2_700,
        "user_id": USER, "workspace_id": WORKSPACE, "project_id": 3, "task_id": 5,
        "description": "Review", "tags": ["b", "a"], "billable": true})
}

async fn put(staged: &mut Staged, name: &str, id: i64, data: Value) {
    staged.put(resource(name), id, &Form::live(data)).await;
}

async fn set(staged: &mut Staged, zone: &str) {
    let set = format!("set toggl_track.time_zone = '{zone}'");
    staged.connection.execute(AssertSqlSafe(set)).await.unwrap();
}

async fn row(staged: &mut Staged) -> Value {
    staged.whole_row("wide_entries").await
}

#[tokio::test]
async fn an_entry_has_the_names_of_all_that_it_belongs_to() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    put(&mut staged, "workspaces", WORKSPACE, json!({"name": "Studio"})).await;
    put(&mut staged, "projects", 3, json!({"name": "Website", "cid": 4, "color": "#0b83d9"})).await;
    put(&mut staged, "clients", 4, json!({"name": "Acme"})).await;
    put(&mut staged, "tasks", 5, json!({"name": "Design"})).await;
    put(&mut staged, "users", USER, json!({"fullname": "Eva"})).await;
    let report = json!({"start": "2026-03-01T23:30:00Z", "username": "Eva, once",
        "billable_amount_in_cents": 7_525.5, "currency": "EUR"});
    staged
        .put(resource("time_entries_report"), 1, &Form { modified: Some(1), ..Form::live(report) })
        .await;
    let wanted = json!({"time_entry_id": 1, "workspace_id": WORKSPACE, "workspace_name": "Studio",
        "user_id": USER, "user_name": "Eva", "client_id": 4, "client_name": "Acme",
        "project_id": 3, "project_name": "Website", "project_color": "#0b83d9", "task_id": 5,
        "task_name": "Design", "description": "Review", "tags": ["b", "a"], "tag_names": "b, a",
        "is_billable": true, "started_at": "2026-03-01T23:30:00+00:00",
        "stopped_at": "2026-03-02T00:15:00+00:00", "is_running": false, "seconds": 2_700,
        "hours": 0.75, "hours_so_far": 0.75, "time_zone": "UTC",
        "started_local": "2026-03-01T23:30:00", "day": "2026-03-01", "week": "2026-02-23",
        "month": "2026-03-01", "billable_amount": 75.255, "currency": "EUR"});
    assert_eq!(row(&mut staged).await, wanted);
}

#[tokio::test]
async fn a_name_is_the_present_one_from_wherever_there_is_one() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    assert_eq!(row(&mut staged).await["user_name"], json!(null));
    let report = json!({"username": "by the report"});
    staged
        .put(resource("time_entries_report"), 1, &Form { modified: Some(1), ..Form::live(report) })
        .await;
    assert_eq!(row(&mut staged).await["user_name"], "by the report");
    for (name, id, data) in [
        ("me", USER, json!({"fullname": "by the profile"})),
        ("workspace_users", 70, json!({"uid": USER, "name": "by the membership"})),
        ("users", USER, json!({"fullname": "by the users"})),
    ] {
        put(&mut staged, name, id, data.clone()).await;
        let wanted = data.get("fullname").or_else(|| data.get("name")).unwrap();
        assert_eq!(row(&mut staged).await["user_name"], *wanted);
    }
}

#[tokio::test]
async fn two_memberships_of_one_person_make_no_second_row() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    for (id, zone) in [(70, "Asia/Tokyo"), (71, "Mars/Olympus")] {
        put(&mut staged, "workspace_users", id, json!({"uid": USER, "timezone": zone})).await;
    }
    let rows = staged.rows("wide_entries").await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["time_zone"], "Asia/Tokyo");
}

#[tokio::test]
async fn the_zone_is_the_chosen_one_then_the_persons_then_utc() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    let local = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        [text("time_zone"), text("started_local"), text("day"), text("month")]
    };
    let utc = ["UTC", "2026-03-01T23:30:00", "2026-03-01", "2026-03-01"];
    assert_eq!(local(&row(&mut staged).await), utc);
    for hostile in [json!("Mars/Olympus"), json!("CEST-2"), json!("now"), json!(7), json!(null)] {
        put(&mut staged, "me", USER, json!({"timezone": hostile})).await;
        assert_eq!(local(&row(&mut staged).await), utc, "{hostile}");
    }
    put(&mut staged, "me", USER, json!({"timezone": "America/New_York"})).await;
    let new_york = ["America/New_York", "2026-03-01T18:30:00", "2026-03-01", "2026-03-01"];
    assert_eq!(local(&row(&mut staged).await), new_york);
    for hostile in ["Mars/Olympus", ""] {
        put(&mut staged, "workspace_users", 70, json!({"uid": USER, "timezone": hostile})).await;
        assert_eq!(local(&row(&mut staged).await), new_york, "{hostile}");
    }
    // One that has to be looked up.
    put(&mut staged, "workspace_users", 70, json!({"uid": USER, "timezone": "Asia/Chita"})).await;
    let chita = ["Asia/Chita", "2026-03-02T08:30:00", "2026-03-02", "2026-03-01"];
    assert_eq!(local(&row(&mut staged).await), chita);
    set(&mut staged, "america/anchorage").await;
    let anchorage = ["America/Anchorage", "2026-03-01T14:30:00", "2026-03-01", "2026-03-01"];
    assert_eq!(local(&row(&mut staged).await), anchorage);
    set(&mut staged, " ").await;
    assert_eq!(local(&row(&mut staged).await), chita);
}

#[tokio::test]
async fn a_chosen_zone_that_is_none_is_an_error_that_names_it() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    set(&mut staged, "Berlin").await;
    let hours = "select sum(hours) from staging.stg_toggl_track__wide_entries";
    assert!(staged.connection.execute(hours).await.is_ok());
    let days = "select day from staging.stg_toggl_track__wide_entries";
    let refused = staged.connection.execute(days).await.unwrap_err().to_string();
    assert!(refused.contains("toggl_track.time_zone is \"Berlin\""), "{refused}");
}

#[tokio::test]
async fn every_usual_zone_is_one_of_this_server() {
    let mut staged = Staged::start().await;
    let strange = "select zone from unnest(staging.toggl_usual_time_zones()) zone
                   where zone not in (select name from pg_timezone_names)";
    let strange: Vec<String> =
        sqlx::query_scalar(strange).fetch_all(&mut staged.connection).await.unwrap();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test]
async fn every_day_is_of_the_week_that_began_last() {
    let mut staged = Staged::start().await;
    let wrong = "select count(*)
        from generate_series(date '1899-12-20', date '2100-01-10', interval '1 day') at,
             generate_series(0, 6) first_day,
             lateral (select at::date as day, staging.toggl_week(at::date, first_day) as week) reckoned
        where extract(dow from week) <> first_day or day - week not between 0 and 6";
    let wrong: i64 = sqlx::query_scalar(wrong).fetch_one(&mut staged.connection).await.unwrap();
    assert_eq!(wrong, 0);
    let none =
        "select staging.toggl_week(null, 1) is null and staging.toggl_week('infinity', 1) is null";
    let none: bool = sqlx::query_scalar(none).fetch_one(&mut staged.connection).await.unwrap();
    assert!(none, "what is no day is of no week");
}

#[tokio::test]
async fn weeks_begin_as_the_profile_says() {
    let mut staged = Staged::start().await;
    put(&mut staged, "time_entries", 1, entry()).await;
    // The first of March 2026 is a Sunday.
    let week = |first_day: i64| {
        let days = (7 - first_day) % 7;
        jiff::civil::date(2026, 3, 1).checked_sub(jiff::Span::new().days(days)).unwrap().to_string()
    };
    assert_eq!(row(&mut staged).await["week"], week(1), "nobody's profile is there");
    put(&mut staged, "me", USER + 1, json!({"beginning_of_week": 6})).await;
    assert_eq!(row(&mut staged).await["week"], week(6), "the profile of somebody else is");
    for first_day in 0..7 {
        put(&mut staged, "me", USER, json!({"beginning_of_week": first_day})).await;
        assert_eq!(row(&mut staged).await["week"], week(first_day));
    }
    for hostile in [json!(7), json!(-1), json!("x"), json!(999_999_999_999_999_i64)] {
        put(&mut staged, "me", USER, json!({"beginning_of_week": hostile})).await;
        assert_eq!(row(&mut staged).await["week"], week(6), "{hostile}");
    }
}

#[tokio::test]
async fn a_running_entry_has_hours_so_far_and_never_less_than_none() {
    let mut staged = Staged::start().await;
    let now = jiff::Timestamp::now();
    for (start, at_least, at_most) in [
        (now - jiff::SignedDuration::from_hours(30), 30.0, 31.0),
        (now + jiff::SignedDuration::from_hours(30), 0.0, 0.0),
    ] {
        let running = json!({"start": start.to_string(), "stop": null, "duration": -1});
        put(&mut staged, "time_entries", 1, with(&entry(), &running)).await;
        let row = row(&mut staged).await;
        let so_far = row["hours_so_far"].as_f64().unwrap();
        assert!((at_least..=at_most).contains(&so_far), "{row:#}");
        assert_eq!((&row["hours"], &row["seconds"]), (&json!(null), &json!(null)));
    }
}
