//! `--wait`, and what loaders kept as dead letters instead of storing it.

use futures::StreamExt as _;
use jiff::Timestamp;
use shared::kept::{Answer, KeptLetters, QUEUE, SUBJECT};
use sqlx::Executor as _;
use tests::toggl::{Account, AccountSize, List, Record, TimeEntry};
use tests::workers::{Finished, Resident};
use tests::world::World;

use crate::expected::endings::assert_fails_in_the_end;
use crate::expected::rows::resource;
use crate::given::guarded::Guarded;

const STORED: &str = "Loaders have stored all of it";

/// An account whose projects are stored, and the loader that did it.
async fn stored() -> (World, Resident) {
    let size = AccountSize { projects: 40, archived_projects: 0, ..AccountSize::default() };
    let world = World::start(Account::generate(&size)).await.unwrap();
    let loader = world.start_loader().await.unwrap();
    let finished = waited(&world, &[], 0).await;
    assert!(finished.stderr.contains(STORED), "{}", finished.stderr);
    (world, loader)
}

async fn waited(world: &World, arguments: &[&str], code: i32) -> Finished {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--wait"]).collect();
    let finished = world.fetcher(&arguments).run().await.unwrap();
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    finished
}

fn letters(finished: &Finished) -> Vec<&str> {
    finished.stdout.lines().filter(|line| line.starts_with("Dead letters: ")).collect()
}

#[tokio::test]
async fn a_listing_that_was_not_believed_makes_the_run_that_waits_incomplete_and_is_named() {
    let (world, _loader) = stored().await;
    world.toggl.with_account(|account| {
        let workspace_id = account.workspace_id();
        let ids: Vec<i64> =
            account.records(List::Projects, workspace_id).iter().map(Record::id).collect();
        for id in &ids[..30] {
            account.remove(List::Projects, workspace_id, *id);
        }
    });

    let finished = waited(&world, &[], 6).await;
    let [line] = letters(&finished)[..] else { panic!("{}", finished.stdout) };
    assert!(line.starts_with("Dead letters: 1 of projects (mass delete: 30 of 40 "), "{line}");
    assert!(!finished.stderr.contains(STORED), "{}", finished.stderr);

    // It waits for a person, and is no other run's.
    let finished = waited(&world, &["--only", "clients"], 0).await;
    assert_eq!(letters(&finished), Vec::<&str>::new());

    let retry = ["dead-letters", "retry", "--all", "--allow-mass-delete"];
    assert_eq!(world.loader(&retry).run().await.unwrap().code, Some(0));
    let finished = waited(&world, &[], 0).await;
    assert!(finished.stderr.contains(STORED), "{}", finished.stderr);
}

#[tokio::test]
async fn records_that_postgres_refuses_make_each_run_that_sends_and_waits_for_them_incomplete() {
    let (world, _loader) = stored().await;
    let mut connection = world.connect().await.unwrap();
    for sql in [
        "truncate raw.toggl_track__tags, raw.toggl_track__clients",
        "alter table raw.toggl_track__tags add constraint no_tags check (source_id is null)",
        "alter table raw.toggl_track__clients add constraint no_clients check (source_id is null)",
    ] {
        connection.execute(sql).await.unwrap();
    }
    for command in [&["--only", "tags,clients"][..], &["--only", "tags,clients"]] {
        let finished = waited(&world, command, 6).await;
        let [clients, tags] = letters(&finished)[..] else { panic!("{}", finished.stdout) };
        assert!(clients.starts_with("Dead letters: 7 of clients (new row for"), "{clients}");
        assert!(tags.starts_with("Dead letters: 8 of tags (new row for"), "{tags}");
        assert!(tags.contains("no_tags"), "{tags}");
    }
}

#[tokio::test]
async fn what_the_fetcher_could_make_no_record_of_is_not_counted_a_second_time() {
    let (world, _loader) = stored().await;
    let tags = r#"[{"id":1,"name":"one"},{"name":"without"}]"#;
    let path = "/api/v9/workspaces/{w}/tags";
    world.toggl.script(path, tests::toggl::Answer::json(tags));
    let finished = waited(&world, &["--only", "tags"], 6).await;
    assert!(finished.stdout.contains("  Dead letters: 1 (named in the log)"), "{finished:#?}");
    assert_eq!(letters(&finished), Vec::<&str>::new());
    let mut connection = world.connect().await.unwrap();
    assert_eq!(tests::rows::count(&mut connection, resource("tags")).await.unwrap(), 9);
}

/// A world with everything set up, in which NATS grants less than the compose stack's does.
async fn less_permitted(right: &str) -> (Guarded, Resident) {
    let guarded = Guarded::start_without(right).await;
    guarded.set_up().await;
    let loader = guarded.loader(&[]).start().await.unwrap();
    guarded.world.loaded_by(&loader).await.unwrap();
    (guarded, loader)
}

#[tokio::test]
async fn where_nats_does_not_let_it_ask_or_a_loader_answer_the_wait_ends_and_says_which_rights_lack()
 {
    let words = ["toggl_track.kept", "_INBOX.toggl-track-fetcher.kept.*", "authorization"];
    for right in ["\"toggl_track.kept\"", "\"_INBOX.toggl-track-fetcher.kept.*\""] {
        let (guarded, _loader) = less_permitted(right).await;
        let finished = guarded.fetcher(&["--wait"]).run().await.unwrap();
        assert_fails_in_the_end(&finished, 1, &words);
        assert!(finished.stdout.starts_with("[OK]"), "{finished:#?}");
    }
}

#[tokio::test]
async fn where_no_loader_tells_the_wait_ends_and_says_what_to_do() {
    let (guarded, _loader) = less_permitted(", \"toggl_track.kept loaders\"").await;
    let finished = guarded.fetcher(&["--wait=4s"]).run().await.unwrap();
    let words = ["within 4s", "toggl_track.kept", "loader dead-letters list", "of this version"];
    assert_fails_in_the_end(&finished, 1, &words);
}

#[tokio::test]
async fn a_loader_that_cannot_tell_yet_is_asked_again() {
    let (guarded, _loader) = less_permitted(", \"toggl_track.kept loaders\"").await;
    // In its place.
    let client = async_nats::connect(guarded.world.nats.url()).await.unwrap();
    let mut questions = client.queue_subscribe(SUBJECT, QUEUE.to_owned()).await.unwrap();
    client.flush().await.unwrap();
    let answering = tokio::spawn(async move {
        let reason = "made up".to_owned();
        let letters = KeptLetters { resource: "tags".to_owned(), letters: 3, reason };
        let answers = [Answer::Unknown("starting".to_owned()), Answer::Kept(vec![letters])];
        for answer in answers {
            let asker = questions.next().await.unwrap().reply.unwrap();
            client.publish(asker, answer.encode().unwrap().into()).await.unwrap();
            client.flush().await.unwrap();
        }
    });
    let finished = guarded.fetcher(&["--wait"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_eq!(letters(&finished), ["Dead letters: 3 of tags (made up)"]);
    answering.await.unwrap();
}

#[tokio::test]
async fn a_report_that_waits_names_what_was_kept_too() {
    let (world, _loader) = stored().await;
    let mut connection = world.connect().await.unwrap();
    let sql = "alter table raw.toggl_track__time_entries_report
               add constraint no_entries check (source_id is null)";
    connection.execute(sql).await.unwrap();
    world.toggl.with_account(|account| {
        let ids: Vec<i64> = account.time_entries().map(TimeEntry::id).skip(3).collect();
        for id in ids {
            account.delete_time_entry(id, Timestamp::now());
        }
    });
    let finished =
        waited(&world, &["report", "--from", &crate::reports::reporting::days_ago(60)], 6).await;
    let [line] = letters(&finished)[..] else { panic!("{}", finished.stdout) };
    assert!(line.contains(" of time_entries_report (new row for"), "{line}");
}
