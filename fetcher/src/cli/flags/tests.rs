//! Every flag before and behind every command.

use clap::error::ErrorKind;

use super::*;
use crate::orchestrator::ReportDays;

/// A flag with a value that it takes, and with the flag that it needs.
fn sample(id: &str) -> &'static [&'static str] {
    match id {
        "days" => &["--days", "30"],
        "only" => &["--only", "tags,tasks"],
        "skip" => &["--skip", "groups"],
        "since_days" => &["--since-days", "85"],
        "team" => &["--team", "35"],
        "team_every" => &["--team-every", "12h"],
        "resume_within" => &["--resume-within", "2h"],
        "env_file" => &["--env-file", "fetcher.env"],
        "api_token_file" => &["--api-token-file", "token.txt"],
        "account" => &["--account", "eva"],
        "accounts_at_once" => &["--accounts-at-once", "8"],
        "workspaces" => &["--workspace", "all"],
        "database_url" => &["--database-url", "postgres://hunter2@localhost/toggl"],
        "toggl_url" => &["--toggl-url", "https://toggl.example"],
        "toggl_allow_http" => &["--toggl-allow-http"],
        "requests_per_second" => &["--requests-per-second", "0.5"],
        "burst" => &["--burst", "2"],
        "toggl_timeout" => &["--toggl-timeout", "9s"],
        "max_wait" => &["--max-wait", "1h"],
        "nats_url" => &["--nats-url", "nats://hunter2@localhost"],
        "nats_creds" => &["--nats-creds", "nats.creds"],
        "nats_user" | "nats_password" => &["--nats-user", "eva", "--nats-password", "hunter2"],
        "nats_nkey" => &["--nats-nkey", "user.nk"],
        "nats_token" => &["--nats-token", "hunter2"],
        "nats_tls_first" => &["--nats-tls-first"],
        "nats_domain" => &["--nats-domain", "leaf"],
        "nats_ca" => &["--nats-ca", "ca.pem"],
        "nats_cert" | "nats_key" => &["--nats-cert", "cert.pem", "--nats-key", "key.pem"],
        "stream_max_age" => &["--stream-max-age", "30d"],
        "stream_max_bytes" => &["--stream-max-bytes", "-1"],
        "state_max_bytes" => &["--state-max-bytes", "1048576"],
        "replicas" => &["--replicas", "3"],
        "summary_json" => &["--summary-json", "run.json"],
        "metrics_textfile" => &["--metrics-textfile", "run.prom"],
        "log_level" => &["--log-level", "debug"],
        "log_format" => &["--log-format", "json"],
        "quiet" => &["--quiet"],
        "if_running" => &["--if-running", "skip"],
        "wait" => &["--wait"],
        "promise" => &["--promise", "75m"],
        _ => panic!("{id} is new: give it a value here, and say in USES which commands use it"),
    }
}

/// Commands that can be run, each with what it cannot be run without.
fn commands() -> Vec<(String, Vec<&'static str>)> {
    let mut names = Vec::new();
    collect(&Cli::command(), "", &mut names);
    let needs = |name: &str| match name {
        "report" => vec!["--from", "2023-01-01"],
        "completions" => vec!["bash"],
        "listen" => vec!["--public-url", "https://hooks.example.com"],
        _ => Vec::new(),
    };
    names.into_iter().map(|name| (name.clone(), needs(&name))).collect()
}

fn collect(command: &Command, name: &str, names: &mut Vec<String>) {
    for below in command.get_subcommands() {
        let name = format!("{name} {}", below.get_name()).trim_start().to_owned();
        if below.has_subcommands() {
            collect(below, &name, names);
        } else {
            names.push(name);
        }
    }
}

fn read(words: &[&str]) -> Result<Cli, Error> {
    let words = std::iter::once("fetcher").chain(words.iter().copied());
    parse(&words.map(OsString::from).collect::<Vec<_>>())
}

/// The one line that a wrong command line is refused with.
#[track_caller]
fn refused(words: &[&str]) -> String {
    let error = read(words).err().unwrap_or_else(|| panic!("{words:?} is taken"));
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ArgumentConflict, 2), "{error}");
    let text = error.to_string();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(text.contains("write `fetcher "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    text.trim_end().trim_start_matches("error: ").to_owned()
}

/// What each run of a schedule is given.
#[track_caller]
fn run_of(words: &[&str]) -> Vec<OsString> {
    match read(words).unwrap().command {
        Some(Chosen::Schedule(schedule)) => schedule.arguments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flag_is_used_by_a_command_or_refused_before_and_behind_it() {
    let root = Cli::command();
    for (name, needed) in commands() {
        let command: Vec<&str> = name.split(' ').chain(needed).collect();
        read(&command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        for flag in root.get_arguments() {
            let id = flag.get_id().as_str();
            let mut ways = vec![[sample(id), &command].concat()];
            if flag.is_global_set() {
                ways.push([&command, sample(id)].concat());
            }
            for words in ways {
                if is_used(&name, id) {
                    read(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
                } else {
                    let text = refused(&words);
                    assert!(text.contains(&format!("--{}", long(flag))), "{text}");
                }
            }
        }
    }
}

#[test]
fn every_command_and_every_flag_has_been_thought_of() {
    let root = Cli::command();
    for (name, _) in commands() {
        assert!(USES.iter().any(|(known, _)| *known == name), "say in USES what {name} uses");
    }
    for flag in root.get_arguments().filter(|flag| flag.is_global_set()) {
        let id = flag.get_id().as_str();
        assert!(is_used(SCHEDULE, id), "say in USES what uses {id}: a schedule's runs do");
    }
    for id in USES.iter().flat_map(|(_, groups)| groups.iter().copied().flatten()) {
        let is_known = root.get_arguments().any(|flag| flag.get_id() == id && flag.is_global_set());
        assert!(is_known, "{id} is no flag");
    }
}

#[test]
fn a_command_shows_the_flags_that_it_uses_and_no_others() {
    let mut root = command();
    root.build();
    for (name, _) in commands() {
        let below = name.split(' ').fold(&root, |command, name| {
            command.find_subcommand(name).unwrap_or_else(|| panic!("{name}"))
        });
        for flag in Cli::command().get_arguments().filter(|flag| flag.is_global_set()) {
            let id = flag.get_id().as_str();
            let here = below.get_arguments().find(|arg| arg.get_id() == id).unwrap();
            assert_eq!(here.is_hide_set(), !is_used(&name, id), "{id} of {name}");
        }
    }
}

#[test]
fn what_is_refused_is_refused_with_what_to_write_instead() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["--days", "30", "--only", "tags,tasks", "schedule", "0 3 * * *"],
            "--days, --only before `schedule` would not reach its runs: write \
             `fetcher schedule '…' -- --days 30 --only tags,tasks`",
        ),
        (
            &["--days", "30", "report"],
            "--days 30 belongs behind the command: write `fetcher report --days 30`",
        ),
        (
            &["--only", "tags", "check"],
            "`fetcher check` makes no use of --only: write `fetcher check` without",
        ),
        (
            &["check", "--wait", "--summary-json", "run.json"],
            "`fetcher check` makes no use of --summary-json, --wait: write `fetcher check` without",
        ),
        (
            &["credentials", "set", "--api-token-file", "token.txt"],
            "`fetcher credentials set` makes no use of --api-token-file: write \
             `fetcher credentials set < FILE`",
        ),
        // Each run would be refused.
        (
            &["--wait", "schedule", "0 3 * * *", "--", "check"],
            "`fetcher check` makes no use of --wait: write `fetcher check` without",
        ),
    ];
    for (words, line) in cases {
        assert_eq!(refused(words), line);
    }
}

#[test]
fn a_flag_before_a_command_and_behind_it_is_refused() {
    for words in [
        &["--workspace", "1", "report", "--days", "7", "--workspace", "2"][..],
        &["--log-level", "warn", "schedule", "--log-level", "warn"],
        &["credentials", "--account", "eva", "set", "--account", "bob"],
    ] {
        let text = refused(words);
        assert!(text.contains("before") && text.contains("behind"), "{text}");
    }
    let apart = ["--account", "eva", "check", "--api-token-file", "token.txt"];
    assert!(refused(&apart).contains("excludes --api-token-file"));
}

#[test]
fn what_a_schedule_is_given_each_run_is_given_before_its_own_arguments() {
    let given = ["--workspace", "1,2", "--wait", "--stream-max-bytes", "-1"];
    let handed_on = ["--stream-max-bytes=-1", "--wait=5m", "--workspace=1,2"];
    let own = ["--", "--days", "1"];
    let sorted = |words: Vec<OsString>| {
        let (before, after) = words.split_at(words.len() - 2);
        let mut before = before.to_vec();
        before.sort();
        assert_eq!(after, ["--days", "1"]);
        before
    };
    let before = [&given[..], &["schedule", "0 3 * * *"], &own].concat();
    assert_eq!(sorted(run_of(&before)), handed_on);
    let behind = [&["schedule", "0 3 * * *"], &given[..], &own].concat();
    assert_eq!(sorted(run_of(&behind)), handed_on);
    assert_eq!(run_of(&["schedule"]), Vec::<OsString>::new());
}

#[test]
fn of_a_flag_that_both_are_given_the_run_s_own_counts() {
    let words = ["--workspace", "1,2", "--burst", "2", "schedule", "--", "--workspace", "3"];
    assert_eq!(run_of(&words), ["--burst=2", "--workspace", "3"]);
    let of_report =
        ["--workspace", "1", "schedule", "--", "report", "--days", "7", "--workspace=2,3"];
    assert_eq!(run_of(&of_report), ["report", "--days", "7", "--workspace=2,3"]);
    // One of two that need each other.
    let user = ["--nats-user", "eva", "--nats-password", "x"];
    let words = [&user[..], &["schedule", "--", "--nats-user", "bob"]].concat();
    assert_eq!(run_of(&words), ["--nats-password=x", "--nats-user", "bob"]);
}

#[test]
fn runs_by_plan_are_given_what_holds_for_all_and_syncs_what_is_theirs() {
    let words = ["--workspace", "1,2", "schedule", "auto", "--", "--quiet", "--team", "35"];
    let Some(Chosen::Schedule(schedule)) = read(&words).unwrap().command else { panic!() };
    let auto = schedule.auto.unwrap();
    assert_eq!(auto.sync, ["--workspace=1,2", "--quiet", "--team", "35"]);
    let sorted = |words: &[OsString]| {
        let mut words = words.to_vec();
        words.sort();
        words
    };
    assert_eq!(sorted(&auto.changes), ["--quiet", "--workspace=1,2", "changes"]);
    assert_eq!(sorted(&auto.lists), ["--lists", "--quiet", "--workspace=1,2", "changes"]);
    assert_eq!(sorted(&auto.verify), ["--known-owner", "--quiet", "--workspace=1,2", "verify"]);
    let team = auto.team.unwrap();
    assert_eq!(team[team.len() - 4..], ["report", "--days", "3", "--known-owner"]);
    let alone = read(&["schedule", "auto"]).unwrap().command;
    let Some(Chosen::Schedule(alone)) = alone else { panic!() };
    assert!(alone.auto.unwrap().team.is_none(), "nobody asked for others' entries");
}

#[test]
fn a_schedule_whose_runs_would_be_refused_is_refused_at_once() {
    for words in [
        &["schedule", "auto", "--", "check"][..],
        &["schedule", "auto", "--share", "100"],
        &["schedule", "--", "--dayz", "3"],
        &["schedule", "--", "report"],
        &["--account", "eva", "schedule", "--", "--api-token-file", "token.txt"],
    ] {
        assert_eq!(read(words).unwrap_err().exit_code(), 2, "{words:?}");
    }
}

#[test]
fn a_report_is_of_named_days_or_of_the_last_ones() {
    let days = |words: &[&str]| match read(words).unwrap().command {
        Some(Chosen::Report(args)) => args.days(),
        other => panic!("{other:?}"),
    };
    assert_eq!(days(&["report", "--days", "30"]), ReportDays::Last(30));
    let from = jiff::civil::date(2023, 1, 31);
    assert_eq!(days(&["report", "--from", "2023-01-31"]), ReportDays::Between(from, None));
    for wrong in [
        &["report"][..],
        &["report", "--to", "2023-01-31"],
        &["report", "--days", "3", "--from", "2023-01-31"],
        &["report", "--days", "3", "--to", "2023-01-31"],
        &["report", "--days", "0"],
        &["report", "--days", "-1"],
        &["report", "--days", "7306"],
    ] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
    assert!(read(&["report", "--days", "7305"]).is_ok());
}

#[test]
fn a_wait_without_its_equals_sign_is_told_how_to_be_written() {
    for (words, time) in
        [(&["--wait", "5m"][..], "5m"), (&["report", "--days", "3", "--wait", "90s"], "90s")]
    {
        let said = read(words).unwrap_err().to_string();
        assert_eq!(
            said,
            format!("error: `--wait {time}` needs an equals sign: write --wait={time}\n")
        );
    }
    assert!(read(&["--wait", "report", "--days", "3"]).unwrap().common.wait.is_some());
}
