//! Standard output and standard error that are closed or full, and commands that are told to be quiet.

use std::path::Path;

use tests::toggl::{Account, Answer, List, Record};
use tests::workers::{Finished, Sink, Worker};
use tests::world::World;

const FULL: &str = "error: cannot write to standard output: ";

async fn world() -> World {
    World::start_empty(Account::sample_at(jiff::Timestamp::now())).await.unwrap()
}

#[track_caller]
fn assert_in_order(finished: &Finished, code: i32) {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    for trace in ["panicked", "backtrace", "Broken pipe"] {
        assert!(!finished.stderr.contains(trace), "{finished:#?}");
    }
}

/// Says once, and in one line, that there was no room.
#[track_caller]
fn assert_full(finished: &Finished, code: i32) {
    assert_in_order(finished, code);
    assert_eq!(finished.stderr.matches(FULL).count(), 1, "{finished:#?}");
    assert_eq!(finished.stderr.matches("error: ").count(), 1, "{finished:#?}");
}

fn watched(fetcher: Worker, folder: &Path) -> Worker {
    fetcher
        .env("FETCHER_SUMMARY_JSON", folder.join("run.json"))
        .env("FETCHER_METRICS_TEXTFILE", folder.join("run.prom"))
        .env("LOG_LEVEL", "warn")
}

/// How the run that has left its files in the folder ended, by both.
fn exit_code(folder: &Path) -> i64 {
    let run = std::fs::read(folder.join("run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    let code = run["exit_code"].as_i64().unwrap();
    let metrics = std::fs::read_to_string(folder.join("run.prom")).unwrap();
    assert!(metrics.contains(&format!("last_run_exit_code {code}.0")), "{metrics}");
    code
}

#[tokio::test]
async fn a_sync_does_all_its_work_whether_or_not_its_summary_can_be_printed() {
    for (closed, code) in [(None, 0), (Some("/api/v9/workspaces/2230991/groups"), 6)] {
        for sink in [Sink::Unread, Sink::Full] {
            let world = world().await;
            if let Some(path) = closed {
                world.toggl.script(path, Answer::status(403));
            }
            let folder = tempfile::tempdir().unwrap();
            let sync = watched(world.fetcher(&["--wait"]), folder.path()).stdout(sink);
            let loader = world.start_loader().await.unwrap();
            let finished = sync.run().await.unwrap();
            match sink {
                Sink::Full => assert_full(&finished, code),
                _ => assert_in_order(&finished, code),
            }
            assert_eq!(exit_code(folder.path()), i64::from(code));
            world.loaded_by(&loader).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_second_account_is_read_when_the_summary_of_the_first_cannot_be_printed() {
    let world = World::start_with_own_postgres(Account::sample_at(jiff::Timestamp::now()));
    let world = world.await.unwrap();
    crate::credentials::vault::give_key(&world).await;
    let token = world.toggl.with_account(|account| account.token().to_owned());
    let fetcher = |arguments: &[&str]| {
        let fetcher = world.fetcher(arguments).without("TOGGL_API_TOKEN");
        fetcher.env("DATABASE_URL", &world.database.url)
    };
    for account in ["first", "second"] {
        let set = fetcher(&["credentials", "set", "--account", account]).stdin(&token);
        assert_full(&set.stdout(Sink::Full).run().await.unwrap(), 0);
    }
    let shown = fetcher(&["credentials", "show", "--account", "first"]);
    assert_full(&shown.stdout(Sink::Full).run().await.unwrap(), 1);
    for sink in [Sink::Unread, Sink::Full] {
        let before = world.toggl.count("/api/v9/workspaces/2230991/tags");
        let finished = fetcher(&["--account", "all", "--only", "tags", "--log-level", "warn"]);
        let finished = finished.stdout(sink).run().await.unwrap();
        assert_in_order(&finished, 0);
        let asked = world.toggl.count("/api/v9/workspaces/2230991/tags");
        assert_eq!(asked - before, 2, "{finished:#?}");
    }
}

#[tokio::test]
async fn what_is_asked_to_be_shown_ends_quietly_in_a_closed_pipe_and_fails_on_a_full_disk() {
    let world = world().await;
    world.sync_and_load(&["--days", "1"]).await.unwrap();
    let fetcher: &[&[&str]] = &[
        &["--help"],
        &["report", "--help"],
        &["--version"],
        &["help", "schedule"],
        &["check", "--log-level", "warn"],
        &["completions", "bash"],
        &["man"],
    ];
    let loader: &[&[&str]] = &[
        &["--help"],
        &["dead-letters", "--help"],
        &["check"],
        &["status"],
        &["status", "--json"],
        &["explain", "--resource", "tags", "--id", "1"],
        &["explain", "--sequence", "1"],
        &["dead-letters", "list"],
        &["dead-letters", "list", "--json"],
        &["completions", "zsh"],
        &["man"],
    ];
    let both = fetcher.iter().map(|words| world.fetcher(words));
    for worker in both.chain(loader.iter().map(|words| world.loader(words))) {
        let worker = worker.env("LOG_LEVEL", "error");
        let read = worker.clone().run().await.unwrap();
        let code = read.code.unwrap();
        assert_in_order(&worker.clone().stdout(Sink::Unread).run().await.unwrap(), code);
        if read.stdout.is_empty() {
            continue;
        }
        // What is not in order says so by its code, printed or not.
        let full = worker.stdout(Sink::Full).run().await.unwrap();
        assert_full(&full, if read.stdout.contains("[FAIL]") { code } else { 1 });
    }
}

#[tokio::test]
async fn where_nobody_hears_what_is_logged_the_work_goes_on() {
    let world = world().await;
    for sink in [Sink::Unread, Sink::Full] {
        for format in ["text", "json"] {
            let sync = world.fetcher(&["--log-level", "debug", "--log-format", format]);
            let finished = sync.stderr(sink).run().await.unwrap();
            assert_in_order(&finished, 0);
            assert!(finished.stdout.starts_with("[OK] "), "{finished:#?}");
        }
        let refused = world.fetcher(&[]).env("TOGGL_API_TOKEN", "wr0ng").stderr(sink);
        assert_in_order(&refused.clone().run().await.unwrap(), 3);
        assert_in_order(&refused.stdout(sink).run().await.unwrap(), 3);
        let misused = world.loader(&["--no-such-flag"]).stderr(sink);
        assert_in_order(&misused.run().await.unwrap(), 2);
        let migrated = world.loader(&["migrate", "--log-level", "debug"]).stderr(sink);
        assert_in_order(&migrated.run().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_quiet_sync_says_nothing_at_all_when_all_is_well() {
    let mut account = Account::sample_at(jiff::Timestamp::now());
    // As most accounts: no groups, no clients.
    for list in [List::Groups, List::Clients] {
        let ids: Vec<i64> = account.records(list, 2_230_991).iter().map(Record::id).collect();
        for id in ids {
            account.remove(list, 2_230_991, id);
        }
    }
    let world = World::start_empty(account).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    for words in [&["--quiet"][..], &["-q", "--wait"], &["-q", "--log-level", "debug"], &["-q"]] {
        let finished = world.fetcher(words).env("LOG_LEVEL", "info").run().await.unwrap();
        assert_in_order(&finished, 0);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""), "{words:?}");
    }
    world.loaded_by(&loader).await.unwrap();
    let by_variable = world.fetcher(&[]).env("FETCHER_QUIET", "Yes").run().await.unwrap();
    assert_eq!((by_variable.stdout.as_str(), by_variable.stderr.as_str()), ("", ""));
    let loud = world.fetcher(&[]).env("FETCHER_QUIET", "off").run().await.unwrap();
    assert!(loud.stdout.contains("[OK]"), "{loud:#?}");
    for command in ["status", "check"] {
        let quiet = world.loader(&[command, "--quiet"]).run().await.unwrap();
        assert_in_order(&quiet, 0);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""), "{command}");
    }
    let check = world.fetcher(&["check", "-q"]).run().await.unwrap();
    assert_eq!((check.code, check.stdout.as_str(), check.stderr.as_str()), (Some(0), "", ""));
    // What is there to be read is read.
    let list = world.loader(&["dead-letters", "list", "-q"]).run().await.unwrap();
    assert_eq!(list.stdout, "No dead letters\n");
}

#[tokio::test]
async fn a_quiet_command_says_what_is_not_well() {
    let world = world().await;
    world.toggl.script("/api/v9/workspaces/2230991/groups", Answer::status(403));
    let finished = world.fetcher(&["-q"]).run().await.unwrap();
    assert_in_order(&finished, 6);
    assert!(finished.stdout.starts_with("[INCOMPLETE] "), "{finished:#?}");
    assert!(finished.stdout.contains("Skipped: groups"), "{finished:#?}");
    let refused = world.fetcher(&["-q"]).env("TOGGL_API_TOKEN", "wr0ng").run().await.unwrap();
    assert_in_order(&refused, 3);
    assert!(refused.stderr.contains("error: "), "{refused:#?}");
    let check = world.fetcher(&["check", "-q"]).env("TOGGL_API_TOKEN", "wr0ng");
    let check = check.run().await.unwrap();
    assert_in_order(&check, 3);
    assert!(check.stdout.contains("[FAIL]"), "{check:#?}");
    let away = world.loader(&["status", "-q"]).env("NATS_URL", "nats://127.0.0.1:1");
    let away = away.run().await.unwrap();
    assert_in_order(&away, 5);
    assert!(away.stdout.contains("Needs attention"), "{away:#?}");
}
