//! What a run of the fetcher leaves behind for machines.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tests::toggl::{Account, Answer, TOKEN};
use tests::workers::{Sink, Worker};
use tests::world::World;

use crate::expected::endings::assert_fails;

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
async fn a_file_that_cannot_be_written_is_named_before_anything_is_asked_of_toggl() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    for command in [&[][..], &["report", "--days", "3"]] {
        for flag in ["--summary-json", "--metrics-textfile"] {
            for path in ["/no/such/folder/run.json", here] {
                let finished = world.fetcher(&[command, &[flag, path]].concat()).run().await;
                let finished = finished.unwrap();
                assert_fails(&finished, 1, &[path, flag, "folder"]);
                assert_eq!(finished.stderr.lines().count(), 1, "{finished:#?}");
                assert_eq!((world.toggl.requests().len(), finished.stdout.as_str()), (0, ""));
            }
        }
    }
    // The other one tells whoever watches by it.
    let file = folder.path().join("fetcher.prom");
    let flags = ["--summary-json", "/no/such/folder/run.json", "--metrics-textfile"];
    let finished = world.fetcher(&[&flags[..], &[file.to_str().unwrap()]].concat()).run().await;
    assert_fails(&finished.unwrap(), 1, &["--summary-json"]);
    assert!(metrics(folder.path()).contains("last_run_exit_code 1.0"));
}

#[tokio::test]
async fn a_run_is_told_to_standard_output_as_well_and_nothing_else_is_said_there() {
    let world = world().await;
    for path in ["-", "/dev/stdout", "/proc/self/fd/1"] {
        let words = ["--summary-json", path, "--log-level", "warn"];
        let finished = world.fetcher(&words).run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        let run: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(run["exit_code"], 0);
        assert!(finished.stderr.starts_with("[OK] "), "{finished:#?}");
        let quiet = world.fetcher(&[&words[..], &["-q"]].concat()).run().await.unwrap();
        assert!(serde_json::from_str::<Value>(&quiet.stdout).is_ok(), "{quiet:#?}");
        assert_eq!(quiet.stderr, "");
    }
    let both = world.fetcher(&["--summary-json", "-", "--metrics-textfile", "-"]);
    assert_fails(&both.run().await.unwrap(), 2, &["only one of"]);
    let full = world.fetcher(&["--summary-json", "-"]).stdout(Sink::Full);
    assert_fails(&full.run().await.unwrap(), 1, &["--summary-json", "standard output"]);
    let unread = world.fetcher(&["--summary-json", "-"]).stdout(Sink::Unread);
    assert_eq!(unread.run().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn links_devices_and_named_pipes_are_written_and_stay_what_they_are() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let [file, link, pipe] = ["run.json", "link", "pipe"].map(|name| folder.path().join(name));
    symlink("run.json", &link).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let read = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    for _ in 0..2 {
        let sync = world.fetcher(&[]).env("FETCHER_SUMMARY_JSON", &link);
        let finished = sync.env("FETCHER_METRICS_TEXTFILE", "/dev/null").run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    }
    assert!(link.is_symlink() && file.is_file());
    assert_eq!(summary(folder.path())["exit_code"], 0);
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    let sync = world.fetcher(&[]).env("FETCHER_METRICS_TEXTFILE", &pipe).run().await.unwrap();
    assert_eq!(sync.code, Some(0), "{sync:#?}");
    assert!(read.await.unwrap().contains("last_run_exit_code 0.0"));
    // Nobody reads any more.
    let sync = world.fetcher(&[]).env("FETCHER_METRICS_TEXTFILE", &pipe).run().await.unwrap();
    assert_fails(&sync, 1, &["--metrics-textfile", "nobody reads", "pipe"]);
    assert!(sync.stdout.contains("sync completed"), "{sync:#?}");
    let full = world.fetcher(&[]).env("FETCHER_SUMMARY_JSON", "/dev/full").run().await.unwrap();
    assert_fails(&full, 1, &["/dev/full", "--summary-json"]);
}
