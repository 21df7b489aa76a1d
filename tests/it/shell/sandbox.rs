//! `cargo sandbox`, as a newcomer runs it first.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tests::servers::{DEADLINE, wait_for};
use tests::workers::{BESIDE_TESTS, Worker};

#[tokio::test]
async fn it_shows_a_week_its_proof_and_what_is_next_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The server of Postgres is another user.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let sandbox = Worker::new("sandbox", &["--days", "20"]).env("TMPDIR", folder.path());
    let mut sandbox = sandbox.env("CARGO", env!("CARGO")).env(BESIDE_TESTS, "yes");
    if let Some(target) = std::env::var_os("CARGO_TARGET_DIR") {
        sandbox = sandbox.env("CARGO_TARGET_DIR", target);
    }
    let finished = sandbox.run().await.unwrap();

    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let shown = &finished.stdout;
    let week = shown.lines().find(|line| line.starts_with("Nora Lindqvist: ")).unwrap();
    assert!(week.contains(" hours from ") && !week.contains(" 0.00 hours"), "{week}");
    for words in [
        "Fri ",
        "Online shop, Acme Outdoor",
        "The team in that week",
        "Ben Carter",
        "running  Online shop",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in\n{shown}");
    }
    assert!(shown.contains("to Toggl\n") && shown.contains(": equal to Toggl"), "{shown}");
    assert!(shown.contains("cargo sandbox --keep"), "{shown}");
    // Not a terminal: no colours, and short lines; a sync's own summary may be longer.
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let own = shown.lines().skip_while(|line| !line.starts_with("Nora"));
    for line in own.take_while(|line| !line.starts_with("The proof")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // What outlives the program for a moment ends by itself.
    let is_empty = || async { fs::read_dir(folder.path()).ok()?.next().is_none().then_some(()) };
    wait_for("nothing to be left", DEADLINE, is_empty).await.unwrap();
}
