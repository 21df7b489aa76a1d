//! Variables of the environment, as compose files, `docker run --env-file` and people write them.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _};
use tests::servers::DEADLINE;
use tests::toggl::Account;
use tests::workers::{Finished, Worker};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::house::pages::page;

fn variables(program: &str) -> BTreeSet<String> {
    let command = match program {
        "fetcher" => fetcher::cli::Cli::command(),
        _ => loader::cli::Cli::command(),
    };
    let mut names = BTreeSet::new();
    collect(&command, &mut names);
    assert!(names.len() > 15, "{names:?}");
    names
}

fn collect(command: &Command, names: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    names.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|below| collect(below, names));
}

#[test]
fn the_page_about_settings_names_each_and_no_other() {
    let rows = page("docs/settings.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let named: BTreeSet<String> = rows
        .flat_map(|row| row.split(" | ").next().unwrap().split(", "))
        .map(|name| name.trim_matches(['`', ' ']).to_owned())
        .collect();
    let mut wanted = &variables("fetcher") | &variables("loader");
    // The one that is no flag.
    wanted.insert("TOGGL_API_TOKEN".to_owned());
    assert_eq!(named, wanted);
}

/// A value that the variable takes, and what has to be set beside it.
fn sample(name: &str) -> (&'static str, Option<(&'static str, &'static str)>) {
    let value = match name {
        "DATABASE_URL" => "postgres://eva@localhost/toggl",
        "FETCHER_ACCOUNTS_AT_ONCE" | "FETCHER_DAYS" | "FETCHER_TEAM" => "7",
        "FETCHER_IF_RUNNING" => "skip",
        "FETCHER_ONLY" | "FETCHER_SKIP" => "tags, clients",
        "FETCHER_LISTEN_SHARE" => "30",
        "FETCHER_PUBLIC_URL" => "https://hooks.example.com",
        "FETCHER_QUIET" | "LOADER_QUIET" => "no",
        "FETCHER_RESUME_WITHIN" | "FETCHER_TEAM_EVERY" | "FETCHER_WAIT" => "5m",
        "FETCHER_PROMISE" => "75m, time_entries=5m",
        "FETCHER_SCHEDULE" => "17 * * * *",
        "FETCHER_SHARE" => "50",
        "FETCHER_VERIFY" => "daily",
        "FETCHER_LISTEN_CHECK_EVERY"
        | "FETCHER_LISTEN_GAP"
        | "LOADER_ACK_WAIT"
        | "TOGGL_MAX_WAIT"
        | "TOGGL_TIMEOUT" => "90s",
        "LOADER_COPY" => "team_2",
        "LOADER_HISTORY" => "off",
        "FETCHER_LISTEN_ADDRESS" | "LOADER_HTTP" => "127.0.0.1:9500",
        "LOADER_KEEP_HISTORY" | "LOADER_KEEP_LOADS" | "LOADER_KEEP_LETTERS" => "365d",
        "LOADER_MAX_AGE" => "2h",
        "LOADER_WRITERS" | "STREAM_REPLICAS" | "TOGGL_BURST" => "3",
        "LOG_FORMAT" => "json",
        "LOG_LEVEL" => "warn",
        "NATS_CA"
        | "NATS_CREDS"
        | "NATS_NKEY"
        | "FETCHER_SUMMARY_JSON"
        | "FETCHER_METRICS_TEXTFILE"
        | "VAULT_KEY_FILE"
        | "TOGGL_API_TOKEN_FILE" => "some.file",
        "NATS_CERT" => return ("cert.pem", Some(("NATS_KEY", "key.pem"))),
        "NATS_KEY" => return ("key.pem", Some(("NATS_CERT", "cert.pem"))),
        "NATS_USER" => return ("eva", Some(("NATS_PASSWORD", "hunter2"))),
        "NATS_PASSWORD" => return ("hunter2", Some(("NATS_USER", "eva"))),
        "NATS_TOKEN" => "hunter2",
        "NATS_DOMAIN" => "leaf",
        "NATS_TLS_FIRST" | "TOGGL_ALLOW_HTTP" => "false",
        "NATS_URL" => "nats://localhost:4222",
        "STATE_MAX_BYTES" | "STREAM_MAX_BYTES" => "1048576",
        "STREAM_MAX_AGE" => "30d",
        "TOGGL_ACCOUNT" => "eva",
        "TOGGL_REQUESTS_PER_SECOND" => "0.5",
        "TOGGL_URL" => "https://toggl.example",
        "TOGGL_WORKSPACE_ID" => "1,2",
        _ => panic!("{name} is new: give it a value here"),
    };
    (value, None)
}

/// Reads every setting and does nothing that needs them, as far as that is possible.
async fn read(program: &'static str, name: &str, value: &str) -> Finished {
    let words: &[&str] = match name {
        // Is read by that command alone; its runs are refused, whatever their time.
        "FETCHER_SCHEDULE" | "FETCHER_SHARE" | "FETCHER_VERIFY" => {
            &["schedule", "--", "--no-such-flag"]
        }
        "FETCHER_PUBLIC_URL" => &["listen", "--no-such-flag"],
        name if name.starts_with("FETCHER_LISTEN_") => &["listen", "--no-such-flag"],
        _ => &["completions", "bash"],
    };
    let mut worker = Worker::new(program, words);
    if let Some((name, value)) =
        sample(name).1.filter(|_| !value.trim_matches([' ', '\r', '"', '\'']).is_empty())
    {
        worker = worker.env(name, value);
    }
    worker.env(name, value).run().await.unwrap()
}

#[track_caller]
fn assert_taken(finished: &Finished, what: &str) {
    let is_taken = finished.code == Some(0) || finished.stderr.contains("--no-such-flag");
    assert!(is_taken, "{what}: {finished:#?}");
}

#[tokio::test]
async fn an_empty_variable_is_not_set_whichever_it_is() {
    for program in ["fetcher", "loader"] {
        for name in variables(program) {
            for empty in ["", " ", "\r", "\"\"", "''"] {
                let finished = read(program, &name, empty).await;
                assert_taken(&finished, &format!("{program}: {name}={empty:?}"));
            }
        }
    }
}

#[tokio::test]
async fn with_every_other_variable_empty_both_do_their_work() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let empty = |program, worker: Worker, set: &[&str]| {
        let unset = variables(program).into_iter().filter(|name| !set.contains(&name.as_str()));
        unset.fold(worker, |worker, name| worker.env(&name, ""))
    };
    let set =
        ["NATS_URL", "STREAM_MAX_BYTES", "TOGGL_URL", "TOGGL_BURST", "TOGGL_REQUESTS_PER_SECOND"];
    let sync = empty("fetcher", world.fetcher(&[]), &set).env("TOGGL_API_TOKEN_FILE", "");
    let finished = sync.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let set = ["NATS_URL", "DATABASE_URL", "LOADER_HTTP"];
    let check = empty("loader", world.loader(&["check"]), &set).run().await.unwrap();
    assert_eq!(check.code, Some(0), "{check:#?}");
    let scheduler = empty("fetcher", world.fetcher(&["schedule"]), &["NATS_URL"]);
    let scheduler = scheduler.start().await.unwrap();
    scheduler.logged(":17:00", DEADLINE).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
}

#[tokio::test]
async fn white_space_and_quotes_around_a_value_are_no_part_of_it() {
    for program in ["fetcher", "loader"] {
        for name in variables(program) {
            let (value, _) = sample(&name);
            for written in [
                format!(" {value} "),
                format!("{value}\r\n"),
                format!("\"{value}\""),
                format!("'{value}'\r"),
            ] {
                let finished = read(program, &name, &written).await;
                assert_taken(&finished, &format!("{program}: {name}={written:?}"));
            }
        }
    }
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let nats = format!("\"{}\"\r", world.nats.url());
    let token = world.toggl.with_account(|account| account.token().to_owned());
    let sync = world.fetcher(&[]).env("NATS_URL", nats).env("TOGGL_API_TOKEN", token + "\r\n");
    let finished = sync.env("FETCHER_ONLY", "\"Tags, clients\"").run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains(r#"Masters: {"clients":5,"tags":12}"#), "{finished:#?}");
    let quoted = world.fetcher(&[]).env("TOGGL_API_TOKEN", "\"0123456789abcdef\"");
    assert_fails(&quoted.run().await.unwrap(), 3, &["TOGGL_API_TOKEN", "it stands in quotes"]);
}

#[tokio::test]
async fn words_are_taken_in_any_case_and_by_their_usual_names() {
    for (name, words) in [
        (
            "LOG_LEVEL",
            &[
                "INFO", "Warning", "WARN", "error", "ERR", "critical", "DEBUG", "trace", "verbose",
                "off", "None", "notice",
            ][..],
        ),
        ("LOG_FORMAT", &["JSON", "Text"]),
        ("NATS_TLS_FIRST", &["TRUE", "1", "Yes", "on", "0", "No", "False", "OFF"]),
    ] {
        for program in ["fetcher", "loader"] {
            for word in words {
                assert_taken(&read(program, name, word).await, &format!("{name}={word}"));
            }
        }
    }
    for (program, name, words) in [
        ("fetcher", "FETCHER_IF_RUNNING", &["WAIT", "Skip", "FAIL"][..]),
        ("fetcher", "FETCHER_ONLY", &["TAGS,Time_Entries", "ALL", "Default,tasks"]),
        ("fetcher", "FETCHER_WAIT", &["true", "Yes", "ON", "false", "no", "0s"]),
        ("fetcher", "TOGGL_WORKSPACE_ID", &["ALL", " All "]),
        ("fetcher", "TOGGL_ACCOUNT", &["ALL"]),
        ("loader", "LOADER_HISTORY", &["ON", "Off", "true", "FALSE", "0"]),
        ("loader", "LOADER_HTTP", &["OFF", "none", "False"]),
        ("loader", "LOADER_KEEP_HISTORY", &["FOREVER"]),
    ] {
        for word in words {
            assert_taken(&read(program, name, word).await, &format!("{name}={word}"));
        }
    }
    for words in [
        &["--log-level", "WARN", "--if-running", "Skip"][..],
        &["--only", "Tags", "--skip", "GROUPS"],
    ] {
        let finished = Worker::new("fetcher", words).env("NATS_URL", "nats://127.0.0.1:1");
        assert_ne!(finished.run().await.unwrap().code, Some(2), "{words:?}");
    }
    let letters = Worker::new("loader", &["dead-letters", "list", "--resource", "TAGS"]);
    let letters = letters.env("DATABASE_URL", "postgres://u@127.0.0.1:1/d").run().await.unwrap();
    assert_fails(&letters, 5, &["DATABASE_URL"]);
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_the_name_of_its_variable() {
    for (program, name, value, words) in [
        ("fetcher", "LOG_LEVEL", "info,async_nats=debug", &["possible values", "warn"][..]),
        ("loader", "LOG_LEVEL", "loud", &["possible values"]),
        ("fetcher", "FETCHER_DAYS", "many", &["many"]),
        ("fetcher", "FETCHER_DAYS", "0", &["1..=7305"]),
        ("fetcher", "FETCHER_ONLY", "tags,projetcs", &["projects"]),
        ("fetcher", "FETCHER_WAIT", "300", &["90s, 5m, 2h or 30d"]),
        ("fetcher", "TOGGL_MAX_WAIT", "5 apples", &["90s, 5m, 2h or 30d"]),
        ("fetcher", "FETCHER_SCHEDULE", "hourly", &["hourly"]),
        ("fetcher", "TOGGL_WORKSPACE_ID", "mine", &["all"]),
        ("fetcher", "NATS_TLS_FIRST", "perhaps", &["perhaps"]),
        ("loader", "LOADER_WRITERS", "0", &["1..=64"]),
        ("loader", "LOADER_MAX_AGE", "2", &["90s, 5m, 2h or 30d"]),
        ("loader", "LOADER_KEEP_LOADS", "30", &["forever"]),
        ("loader", "STREAM_MAX_AGE", "365", &["90s, 5m, 2h or 30d"]),
    ] {
        let finished = read(program, name, value).await;
        assert_misused(&finished, &[&[name][..], words].concat());
        // Of a flag the variable is not to blame.
        let flag = format!("--{}", name.trim_start_matches("FETCHER_").to_lowercase());
        if matches!(name, "LOG_LEVEL" | "FETCHER_DAYS" | "FETCHER_ONLY") {
            let flag = flag.replace('_', "-");
            let misused = Worker::new(program, &[&format!("{flag}={value}")]).env(name, value);
            let misused = misused.run().await.unwrap();
            assert_misused(&misused, &[&flag]);
            assert!(!misused.stderr.contains(name) || name == "LOG_LEVEL", "{misused:#?}");
        }
    }
}

#[tokio::test]
async fn the_default_account_beside_a_token_is_that_token_s() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    for account in ["default", " default", "\"default\"", ""] {
        let sync = world.fetcher(&["--only", "tags"]).env("TOGGL_ACCOUNT", account);
        let finished = sync.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{account:?}: {finished:#?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let token = world.toggl.with_account(|account| account.token().to_owned());
    std::fs::write(&file, token + "\r\n").unwrap();
    let by_file = |account: &str| {
        let sync = world.fetcher(&["--only", "tags"]).without("TOGGL_API_TOKEN");
        sync.env("TOGGL_API_TOKEN_FILE", &file).env("TOGGL_ACCOUNT", account)
    };
    let finished = by_file("default").run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let both = by_file("eva").run().await.unwrap();
    assert_fails(&both, 2, &["TOGGL_ACCOUNT", "TOGGL_API_TOKEN_FILE"]);
}

#[tokio::test]
async fn another_account_beside_a_token_is_told_what_contradicts_what() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    for account in ["eva", "all"] {
        let sync = world.fetcher(&[]).env("TOGGL_ACCOUNT", account);
        let words = ["TOGGL_ACCOUNT", "TOGGL_API_TOKEN", "leave out"];
        assert_fails(&sync.run().await.unwrap(), 3, &words);
    }
}
