//! Every failure is one line that says what to do, with the exit code that scripts go by.

use tests::toggl::Account;
use tests::workers::Worker;
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_misused};
use crate::given::watched::ended;

#[tokio::test]
async fn a_wrong_command_line_says_what_is_wrong_before_anything_is_asked() {
    let run = async |arguments: &[&str]| {
        // Nobody answers there.
        let address = "postgres://nobody@127.0.0.1:1/nothing";
        let arguments = [&["hours", "--database-url", address], arguments].concat();
        Worker::new("loader", &arguments).run().await.unwrap()
    };
    for (arguments, words) in [
        (&["--from", "2026-02-30"][..], &["--from", "2026-02-30"][..]),
        (&["--from", "yesterday"], &["--from", "yesterday"]),
        (&["--by", "project,colour"], &["colour", "[possible values: project, client"]),
        (&["--time-zone", "Europe/Atlantis"], &["Europe/Atlantis", "no such time zone"]),
        (&["--format", "pdf"], &["pdf", "html"]),
    ] {
        assert_misused(&run(arguments).await, words);
    }
    for (arguments, words) in [
        (
            &["--from", "2026-03-02", "--to", "2026-03-01"][..],
            &["--from 2026-03-02 is after --to 2026-03-01"][..],
        ),
        (&["--by", "user,project,user"], &["--by has user twice"]),
        (&["--by", "user,project,day,week,task"], &["at most 4"]),
        (&["-o", "hours.pdf"], &["hours.pdf", ".html", "--format"]),
    ] {
        assert_fails(&run(arguments).await, 2, words);
    }
    assert_fails(&run(&[]).await, 5, &["127.0.0.1:1"]);
}

#[tokio::test]
async fn without_tables_it_says_what_makes_them_and_in_the_future_there_is_nothing() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let run = async |arguments: &[&str]| {
        world.loader(&[&["hours"], arguments].concat()).run().await.unwrap()
    };
    assert_fails(&run(&[]).await, 1, &["loader migrate"]);
    ended(world.loader(&["migrate"]), 0).await;
    let empty = ended(world.loader(&["hours"]), 0).await.stdout;
    assert!(
        empty.contains("0.00 hours of nobody") && empty.contains("Nothing was tracked"),
        "{empty}"
    );
    assert!(empty.contains("Toggl was never asked"), "{empty}");
    ended(world.loader(&["hours", "--format", "html"]), 0).await;
    assert_fails(&run(&["--from", "2999-01-01"]).await, 2, &["2999-01-01 lies in the future"]);
    let mut connection = world.connect().await.unwrap();
    let set = format!(
        "alter database {} set toggl_track.time_zone = 'Mars/Olympus'",
        world.database.name
    );
    sqlx::query(sqlx::AssertSqlSafe(set)).execute(&mut connection).await.unwrap();
    assert_fails(&run(&[]).await, 2, &["Mars/Olympus", "--time-zone"]);
    ended(world.loader(&["hours", "--time-zone", "Asia/Tokyo"]), 0).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() {
    let world = World::start(Account::empty()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = async |path: &str| {
        world.loader(&["hours", "--format", "html", "-o", path]).run().await.unwrap()
    };
    assert_fails(
        &run(&path("missing/hours.html")).await,
        1,
        &["cannot write", "missing/hours.html", "there is no folder"],
    );
    assert_fails(&run(&path("")).await, 1, &["cannot write", "it is a folder"]);
    assert_fails(&run("/dev/full").await, 1, &["cannot write /dev/full", "No space"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    std::fs::write(path("hours.html"), "old").unwrap();
    let mut connection = world.connect().await.unwrap();
    sqlx::raw_sql("drop view staging.stg_toggl_track__daily_entries cascade")
        .execute(&mut connection)
        .await
        .unwrap();
    assert_fails(&run(&path("hours.html")).await, 1, &["loader migrate"]);
    assert_eq!(std::fs::read_to_string(path("hours.html")).unwrap(), "old");
}
