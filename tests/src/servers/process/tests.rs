use std::env;
use std::path::Path;

use super::*;
use crate::servers::{NatsOptions, NatsServer, PostgresOptions, PostgresServer};

/// Where the helper process tells what it started. Unset in an ordinary run of the tests.
const REPORT: &str = "SERVERS_TEST_REPORT";
const DEADLINE: Duration = Duration::from_mins(1);

fn sleeper(folder: &Path, script: &str) -> Launch {
    Launch {
        name: "sleeper",
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        working_folder: folder.into(),
        log: folder.join("log"),
        end_signal: "KILL",
        account: None,
    }
}

fn lives(pid: &str) -> bool {
    let kill = Command::new("sh").args(["-c", "kill -0 \"$1\" 2>/dev/null", "lives", pid]).status();
    kill.unwrap().success()
}

/// The helper process of the next test: starts servers, tells their pids and folders, and waits.
#[tokio::test]
async fn owner_of_servers() {
    let Some(report) = env::var_os(REPORT) else {
        return;
    };
    let nats = NatsServer::start(NatsOptions::default()).await.unwrap();
    let postgres = PostgresServer::start(PostgresOptions::default()).await.unwrap();
    let (store, data) = (nats.store_dir(), postgres.data_dir());
    let told = format!("{} {}\n{} {}", nats.pid(), store.display(), postgres.pid(), data.display());
    let unfinished = format!("{}.unfinished", report.display());
    fs::write(&unfinished, told).unwrap();
    fs::rename(&unfinished, report).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_and_folders_go_when_their_owner_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "servers::process::tests::owner_of_servers"])
        .env(REPORT, &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let report = wait_for("the report", DEADLINE, || async { fs::read_to_string(&report).ok() });
    let report = report.await.unwrap();
    let started: Vec<(&str, &Path)> = report
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(pid, folder)| (pid, Path::new(folder)))
        .collect();
    assert_eq!(started.len(), 2);
    assert!(started.iter().all(|(pid, folder)| lives(pid) && folder.exists()));

    owner.kill().unwrap();
    owner.wait().unwrap();

    wait_for("the servers to end and their folders to go", DEADLINE, || async {
        let gone =
            |(pid, folder): &(&str, &Path)| !lives(pid) && !folder.parent().unwrap().exists();
        started.iter().all(gone).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn exit_code_and_output_are_those_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let process = ServerProcess::start(sleeper(folder.path(), "echo said; exit 7")).unwrap();
    let status = wait_for("the end", DEADLINE, || async { process.exited() }).await.unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(process.log_of_this_run(), "said\n");
    assert!(process.signal("TERM").unwrap_err().to_string().contains("sleeper is not running"));
    process.start_again().unwrap();
    wait_for("the end", DEADLINE, || async { process.exited() }).await.unwrap();
    assert_eq!(process.log(), "said\nsaid\n");
}

#[tokio::test]
async fn running_server_is_not_started_twice() {
    let folder = tempfile::tempdir().unwrap();
    let process = ServerProcess::start(sleeper(folder.path(), "exec sleep 60")).unwrap();
    assert!(process.start_again().is_err());
    let pid = process.pid().to_string();
    assert!(lives(&pid));
    process.kill9().unwrap();
    assert!(!lives(&pid));
}

#[tokio::test]
async fn stopped_process_can_be_asked_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let process = ServerProcess::start(sleeper(folder.path(), "exec sleep 60")).unwrap();
    process.signal("STOP").unwrap();
    process.stop("TERM").await.unwrap();
    assert!(process.exited().is_some());
}
