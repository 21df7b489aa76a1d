//! `--env-file`: settings from a file, as cron needs them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;
use tests::servers::DEADLINE;
use tests::servers::NatsOptions;
use tests::toggl::{Account, TOKEN};
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_unspoken};

/// As password managers make them.
const ODD: &str = "50%off $HOME `id` #1 \\n 'x' ; = ü";

fn file(text: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fetcher.env");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

/// A NATS whose password is odd.
async fn world() -> World {
    let password = ODD.replace('\\', "\\\\");
    let configuration =
        format!("authorization {{ user: eva, password: \"{password}\" }}\nno_auth_user: \"\"\n");
    let nats = NatsOptions {
        configuration: configuration.replace("no_auth_user: \"\"\n", ""),
        ..NatsOptions::default()
    };
    World::start_with(Account::sample_at(Timestamp::now()), nats).await.unwrap()
}

fn settings(world: &World) -> String {
    format!(
        "# Of the fetcher.\nNATS_URL={}\nNATS_USER=eva\nNATS_PASSWORD={ODD}\r\n\nTOGGL_URL='{}'\n\
         TOGGL_API_TOKEN=\"{TOKEN}\"\nSTREAM_MAX_BYTES=268435456\n; end\n",
        world.nats.url(),
        world.toggl.url()
    )
}

#[tokio::test]
async fn settings_are_read_as_they_stand_before_or_behind_a_command() {
    let world = world().await;
    let (_folder, path) = file(&settings(&world), 0o600);
    let path = path.to_str().unwrap();
    let joined = format!("--env-file={path}");
    for words in [&["--env-file", path, "check"][..], &["check", &joined]] {
        let checked = Worker::new("fetcher", words).run().await.unwrap();
        assert_eq!(checked.code, Some(0), "{checked:#?}");
        assert_eq!(checked.stderr.matches("warning").count(), 0, "{checked:#?}");
    }
    let synced =
        Worker::new("fetcher", &["--only", "tags", "--env-file", path]).run().await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:#?}");
    let loader = Worker::new("loader", &["--env-file", path, "check"]);
    let checked = loader.env("DATABASE_URL", &world.database.url).run().await.unwrap();
    assert_eq!(checked.code, Some(0), "{checked:#?}");
}

#[tokio::test]
async fn the_environment_wins_over_the_file_and_a_later_file_over_an_earlier_one() {
    let world = world().await;
    let (_one, path) = file(&settings(&world), 0o600);
    let (_two, later) = file("TOGGL_API_TOKEN=wr0ng\n", 0o600);
    let (path, later) = (path.to_str().unwrap(), later.to_str().unwrap());
    let check = || Worker::new("fetcher", &["--env-file", path, "--env-file", later, "check"]);
    assert_eq!(check().run().await.unwrap().code, Some(3));
    assert_eq!(check().env("TOGGL_API_TOKEN", TOKEN).run().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn the_runs_of_a_schedule_have_them_too() {
    let world = world().await;
    let (_folder, path) = file(&settings(&world), 0o600);
    let words =
        ["schedule", "* * * * * *", "--env-file", path.to_str().unwrap(), "--", "--only", "tags"];
    let scheduler = Worker::new("fetcher", &words).start().await.unwrap();
    scheduler.logged("The run has ended well", DEADLINE).await.unwrap();
    assert_eq!(scheduler.terminate().await.unwrap(), Some(0), "{}", scheduler.log());
}

#[tokio::test]
async fn a_file_that_everybody_may_read_is_warned_of() {
    for (mode, warnings) in [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1)] {
        let (_folder, path) = file("TOGGL_API_TOKEN=abc\n", mode);
        let man = Worker::new("fetcher", &["man", "--env-file", path.to_str().unwrap()]);
        let finished = man.run().await.unwrap();
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(
            finished.stderr.matches("chmod 600").count(),
            warnings,
            "{mode:o} {finished:#?}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_nothing_of_it_repeated() {
    for text in ["hunter2\n", "A=1\nB='hunter2\n", "A-hunter2=x\n", "A=hunter2\0x\n"] {
        let (_folder, path) = file(text, 0o600);
        for program in ["fetcher", "loader"] {
            let worker = Worker::new(program, &["check", "--env-file", path.to_str().unwrap()]);
            let finished = worker.run().await.unwrap();
            assert_fails(&finished, 2, &["fetcher.env", "--env-file", "line "]);
            assert_unspoken(&finished, "hunter2");
        }
    }
    let missing = Worker::new("fetcher", &["--env-file", "/nowhere/x.env"]).run().await.unwrap();
    assert_fails(&missing, 2, &["/nowhere/x.env", "No such file"]);
    assert_fails(&Worker::new("loader", &["--env-file"]).run().await.unwrap(), 2, &["--env-file"]);
}
