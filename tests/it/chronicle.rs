//! What a run of the fetcher leaves behind for machines.

use std::path::Path;

use serde_json::Value;
use tests::toggl::{Account, Answer, TOKEN};
use tests::workers::Worker;
use tests::world::World;

use crate::endings::assert_fails;

const TAGS: &str = "/api/v9/workspaces/{w}/tags";

async fn world() -> World {
    World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

/// The fetcher, told to write both files to the folder.
fn watched(fetcher: Worker, folder: &Path) -> Worker {
    fetcher
        .env("FETCHER_SUMMARY_JSON", folder.join("run.json"))
        .env("FETCHER_METRICS_TEXTFILE", folder.join("fetcher.prom"))
}

fn summary(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("run.json")).unwrap()).unwrap()
}

fn metrics(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("fetcher.prom")).unwrap()
}

fn sum(list: &Value, field: &str) -> u64 {
    list.as_array().unwrap().iter().map(|one| one[field].as_u64().unwrap()).sum()
}

fn find<'a>(list: &'a Value, field: &str, value: impl Into<Value>) -> &'a Value {
    let value = value.into();
    let found = list.as_array().unwrap().iter().find(|one| one[field] == value);
    found.unwrap_or_else(|| panic!("no {field} {value} in {list:#}"))
}

#[tokio::test]
async fn a_run_writes_its_requests_waits_quotas_records_and_how_it_ended() {
    let world = world().await;
    world.toggl.limit_quota(tests::toggl::QuotaLimits { me: 30, ..Default::default() });
    world.toggl.script(TAGS, Answer::status(500));
    let folder = tempfile::tempdir().unwrap();
    let finished = watched(world.fetcher(&[]), folder.path()).run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");

    let run = summary(folder.path());
    assert_eq!((&run["version"], &run["command"]), (&1.into(), &"sync".into()));
    assert_eq!((&run["exit_code"], &run["error"]), (&0.into(), &Value::Null));
    assert!(run["duration_seconds"].as_f64().unwrap() > 0.0);
    let account = &run["accounts"][0];
    assert_eq!((&account["account"], &account["exit_code"]), (&"default".into(), &0.into()));
    let asked = world.toggl.requests();
    assert_eq!(sum(&account["requests"], "count"), asked.len() as u64);
    let failed = find(&account["requests"], "status", 500);
    assert_eq!(failed["endpoint"], "GET /api/v9/workspaces/{id}/tags");
    assert_eq!(find(&account["waits"], "reason", "retry")["count"], 1);
    assert!(find(&account["quotas"], "scope", "user")["remaining"].as_u64().unwrap() < 30);
    assert_eq!(find(&account["records"], "resource", "tags")["records"], 12);
    assert_eq!(find(&account["records"], "resource", "projects")["records"], 4);

    let metrics = metrics(folder.path());
    for line in [
        "toggl_track_fetcher_last_run_exit_code 0.0",
        r#"toggl_track_fetcher_requests{account="default",endpoint="GET /api/v9/workspaces/{id}/tags",status="500"} 1.0"#,
        r#"toggl_track_fetcher_records{account="default",resource="tags"} 12.0"#,
        r#"toggl_track_fetcher_waits{account="default",reason="retry"} 1.0"#,
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line} is not in {metrics}");
    }
    for name in ["duration_seconds", "timestamp_seconds", "quota_remaining", "sent_bytes"] {
        assert!(metrics.contains(name), "{name} is not in {metrics}");
    }
    // Nothing else is left in the folder, which others read.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert!(!metrics.contains(TOKEN) && !run.to_string().contains(TOKEN));
}

#[tokio::test]
async fn a_run_that_fails_writes_that_too_in_place_of_the_run_before() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let good = watched(world.fetcher(&[]), folder.path()).run().await.unwrap();
    assert_eq!(good.code, Some(0), "{good:#?}");
    let refused = watched(world.fetcher(&[]).env("TOGGL_API_TOKEN", "wr0ng"), folder.path());
    assert_fails(&refused.run().await.unwrap(), 3, &["API token"]);
    let run = summary(folder.path());
    assert_eq!(run["exit_code"], 3);
    assert!(run["error"].as_str().unwrap().contains("API token"), "{run:#}");
    assert!(metrics(folder.path()).contains("last_run_exit_code 3.0"));
    let away = watched(world.fetcher(&[]).env("NATS_URL", "nats://127.0.0.1:1"), folder.path());
    assert_fails(&away.run().await.unwrap(), 5, &["NATS"]);
    assert_eq!(summary(folder.path())["exit_code"], 5);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_fails_the_run() {
    let world = world().await;
    let finished = world.fetcher(&["--summary-json", "/no/such/folder/run.json"]);
    let finished = finished.run().await.unwrap();
    assert_fails(&finished, 1, &["/no/such/folder/run.json", "--summary-json"]);
    assert!(finished.stdout.contains("sync completed"), "{finished:#?}");
}
