//! What `deploy/` and the crontab lines give to a machine: programs where the units look for them, settings
//! that exist, and files that the programs and nats-server read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::{Command, CommandFactory as _};
use tempfile::TempDir;
use tests::servers::nats_server_program;
use tests::workers::Worker;

use crate::expected::endings::assert_unspoken;

const README: &str = include_str!("../../../README.md");
const RUNNING: &str = include_str!("../../../docs/running.md");
const KUBERNETES: &str = include_str!("../../../deploy/kubernetes.yaml");
const COMPOSE: &str = include_str!("../../../docker-compose.yml");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// As `sudo deploy/install` does, below a folder; stand-ins for the programs, which need not be built in
/// that profile.
async fn installed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("repository");
    for below in ["target/release", "deploy/systemd"] {
        fs::create_dir_all(copy.join(below)).unwrap();
    }
    for program in ["fetcher", "loader"] {
        fs::write(copy.join("target/release").join(program), "#!/bin/sh\n").unwrap();
    }
    for below in ["deploy", "deploy/systemd"] {
        for entry in fs::read_dir(repository().join(below)).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_file() {
                fs::copy(&entry, copy.join(below).join(entry.file_name().unwrap())).unwrap();
            }
        }
    }
    let root = folder.path().join("root");
    install(&copy, &root).await;
    (folder, root)
}

async fn install(copy: &Path, root: &Path) {
    let mut install = tokio::process::Command::new(copy.join("deploy/install"));
    let output = install.env("DESTDIR", root).stdin(Stdio::null()).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Settings of a unit, by their names; a name may come several times.
fn unit(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut settings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?}"));
        settings.entry(name).or_default().push(value);
    }
    settings
}

fn program(name: &str) -> Command {
    match name {
        "fetcher" => fetcher::cli::Cli::command(),
        "loader" => loader::cli::Cli::command(),
        _ => panic!("{name}"),
    }
}

/// Names of settings that the program has, besides those that it takes from the environment alone.
fn settings_of(name: &str) -> BTreeSet<String> {
    let mut command = program(name);
    command.build();
    let mut names: BTreeSet<String> = ["TOGGL_API_TOKEN", "PGPASSWORD"].map(str::to_owned).into();
    let own = command.get_subcommands().flat_map(Command::get_arguments);
    names.extend(
        command
            .get_arguments()
            .chain(own)
            .filter_map(|argument| argument.get_env())
            .map(|name| name.to_str().unwrap().to_owned()),
    );
    names
}

#[track_caller]
fn assert_taken(line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = Path::new(words[0]).file_name().unwrap().to_str().unwrap();
    // Made elsewhere.
    let words = words.iter().filter(|word| **word != "--quiet");
    if let Err(error) = program(name).try_get_matches_from(words) {
        panic!("{line:?} is refused: {error}");
    }
}

#[tokio::test]
async fn units_start_programs_that_are_installed_with_flags_and_files_that_exist() {
    let (_folder, root) = installed().await;
    let units = root.join("etc/systemd/system");
    let mut started = Vec::new();
    for entry in fs::read_dir(&units).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let unit = unit(&text);
        if path.extension().unwrap() == "timer" {
            assert!(path.with_extension("service").exists(), "{path:?} starts nothing");
            continue;
        }
        let line = unit["ExecStart"][0];
        let name = line.split(' ').next().unwrap();
        started.push(name.to_owned());
        // systemd looks for it, as distributions put it to different places.
        if name != "nats-server" {
            let program = root.join(name.trim_start_matches('/'));
            let mode = fs::metadata(&program).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{name} cannot be started");
            // What its settings have to say.
            let own =
                if line.ends_with(" listen") { " --public-url https://example.com" } else { "" };
            assert_taken(&format!("{line}{own}"));
        }
        let files = unit.get("EnvironmentFile").into_iter().chain(unit.get("LoadCredential"));
        for file in files.flatten() {
            let file = file.split(':').next_back().unwrap();
            assert!(root.join(file.trim_start_matches('/')).exists(), "{file} is missing");
        }
    }
    started.sort();
    started.dedup();
    assert_eq!(started, ["/usr/local/bin/fetcher", "/usr/local/bin/loader", "nats-server"]);
}

#[test]
fn a_service_comes_again_but_not_where_somebody_has_to_mend_a_setting() {
    let unit_of = |name: &str| {
        let path = repository().join(format!("deploy/systemd/toggl-track-{name}.service"));
        fs::read_to_string(path).unwrap()
    };
    for (name, restart, never) in [
        ("nats", "always", ""),
        ("loader", "always", "2 3"),
        ("fetcher", "on-failure", "1 2 3 4 6"),
        ("schedule", "always", "2 3"),
        ("listen", "always", "2 3"),
    ] {
        let text = unit_of(name);
        let unit = unit(&text);
        assert_eq!(unit["Restart"], [restart], "{name}");
        assert_eq!(
            unit.get("RestartPreventExitStatus").map_or("", |codes| codes[0]),
            never,
            "{name}"
        );
        assert_eq!(unit["StartLimitIntervalSec"], ["0"], "{name} is given up after some starts");
        assert_eq!(unit["DynamicUser"], ["yes"], "{name}");
        assert!(unit["After"][0].contains("network-online.target"), "{name}");
        assert_eq!(unit["Wants"], ["network-online.target"], "{name}");
        assert!(unit.contains_key("RestartSec") && unit.contains_key("TimeoutStopSec"), "{name}");
        assert_eq!(unit.contains_key("WantedBy"), name != "fetcher", "{name}");
    }
}

#[tokio::test]
async fn installed_settings_are_for_root_alone_exist_and_share_a_password_that_stays() {
    let (folder, root) = installed().await;
    let etc = root.join("etc/toggl-track");
    let read = |name: &str| fs::read_to_string(etc.join(name)).unwrap();
    let before = ["nats.conf", "loader.env", "fetcher.env"].map(read);
    for (name, text) in ["nats.conf", "loader.env", "fetcher.env"].iter().zip(&before) {
        let mode = fs::metadata(etc.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is open to others");
        assert!(!text.contains("@NATS"), "{text}");
    }
    let (_, rest) = before[0].split_once("password: \"").unwrap();
    let password = rest.split('"').next().unwrap();
    assert!(password.len() >= 48, "{password}");
    for (program, text) in [("loader", &before[1]), ("fetcher", &before[2])] {
        assert!(text.contains(&format!("NATS_PASSWORD={password}\n")), "{text}");
        let names = text.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
        for (name, _) in names.filter(|(name, _)| !name.contains(' ')) {
            assert!(settings_of(program).contains(name), "{program} knows no {name}");
        }
        let file = etc.join(format!("{program}.env"));
        let man =
            Worker::new(program_name(program), &["man", "--env-file", file.to_str().unwrap()]);
        let finished = man.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_unspoken(&finished, password);
    }
    // Again after an update, and with a file that somebody has removed.
    fs::remove_file(etc.join("fetcher.env")).unwrap();
    install(&folder.path().join("repository"), &root).await;
    assert_eq!(["nats.conf", "loader.env", "fetcher.env"].map(read), before);
}

fn program_name(name: &str) -> &'static str {
    if name == "loader" { "loader" } else { "fetcher" }
}

#[tokio::test]
async fn nats_reads_its_file_and_listens_on_loopback_with_a_log_in() {
    let (folder, root) = installed().await;
    let text = fs::read_to_string(root.join("etc/toggl-track/nats.conf")).unwrap();
    assert!(text.contains("listen: \"127.0.0.1:") && text.contains("authorization {"), "{text}");
    let store = text.replace("/var/lib/", &format!("{}/", folder.path().display()));
    let path = folder.path().join("nats.conf");
    fs::write(&path, store).unwrap();
    let mut nats = tokio::process::Command::new(nats_server_program().await.unwrap());
    let output = nats.arg("-t").arg("-c").arg(&path).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    // The README's, too.
    assert!(README.contains("listen: \"127.0.0.1:4222\"\nauthorization {"));
    assert!(!README.contains("0.0.0.0:4222"));
}

#[test]
fn lines_for_cron_hold_no_setting_and_no_percent_sign() {
    let mut lines = 0;
    for block in RUNNING.split("```cron\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            lines += 1;
            assert!(!line.contains(['%', '=']), "{line}");
            let command = line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ");
            let command = command.rsplit(" && ").next().unwrap();
            match command.split_once("--no-TTY ") {
                Some((_, words)) => assert_taken(words),
                None => assert_taken(command),
            }
        }
    }
    assert_eq!(lines, 2);
}

#[test]
fn nothing_of_the_compose_stack_is_published_beyond_this_machine_or_has_a_password_of_its_own() {
    let mut is_port = false;
    let (mut published, mut secrets) = (0, 0);
    for line in COMPOSE.lines().map(str::trim) {
        is_port = line == "ports:" || (is_port && (line.starts_with('-') || line.starts_with('#')));
        if is_port && line.starts_with('-') {
            published += 1;
            assert!(line.starts_with("- 127.0.0.1:"), "{line}");
        }
        let secret = line.split_once(": ").filter(|(name, _)| name.ends_with("PASSWORD"));
        if let Some((_, value)) = secret.filter(|(_, value)| *value != "\"\"") {
            secrets += 1;
            // Without it there is no such user.
            let is_optional = line.contains("${POSTGRES_GRAFANA_PASSWORD:-}");
            assert!(is_optional || value.contains(":?set it in .env}"), "{line}");
        }
    }
    assert_eq!(published, 6);
    assert!(secrets > 10, "{secrets}");
}

#[test]
fn the_manifests_for_kubernetes_give_flags_that_the_programs_take() {
    let mut taken = 0;
    for (line, name) in KUBERNETES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("args: ["))
        .zip(["fetcher", "loader"])
    {
        let words = line.trim_end_matches(']').replace(['"', ','], "");
        assert_taken(&format!("{name} {words}"));
        taken += 1;
    }
    assert_eq!(taken, 2);
}
