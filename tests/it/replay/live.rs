//! `loader replay` into the live tables: what it brings back, what it leaves alone, what it selects.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use shared::catalogue::CATALOGUE;
use shared::listing::Span;
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, publish, publish_raw, record};
use crate::replay::replaying::{Replaying, nothing_new};

/// Batches in the whole past.
const PAST: usize = 6 * CATALOGUE.len();

#[tokio::test]
async fn a_replay_over_tables_that_miss_nothing_changes_nothing() {
    let mut replaying = Replaying::with_past().await;
    let before = replaying.live().await;
    for arguments in [&[][..], &["--force"]] {
        let finished = replaying.replay(arguments, 0).await;
        assert!(before == replaying.live().await, "{arguments:?}: {finished:#?}");
        let mut lines: Vec<&str> = finished.stdout.lines().collect();
        assert_eq!(lines[0], format!("Replayed {PAST} batches"));
        assert_eq!(lines.len(), 2 + CATALOGUE.len(), "{finished:#?}");
        let beginning = lines.pop().unwrap();
        assert!(
            beginning.starts_with("The stream begins at sequence 1, published "),
            "{finished:#?}"
        );
        assert!(lines[1].starts_with("  me: 6 batches, 0 applied, "), "{finished:#?}");
        assert!(lines[1..].iter().all(|line| line.contains(" 0 applied, ")), "{finished:#?}");
        assert!(lines[1..].iter().all(|line| line.ends_with(" 0 deleted, 0 dead")));
        let replaying = format!("[replay] Replaying {PAST} batches");
        assert!(finished.stderr.contains(&replaying), "{finished:#?}");
    }
}

#[tokio::test]
async fn tables_that_were_emptied_are_filled_as_they_were() {
    let mut replaying = Replaying::with_past().await;
    // The newest listing that has a row stands in for the first one that had it so.
    let but = ["synced_at", "fetched_at"];
    let before = replaying.contents("raw", &but).await;
    let deleted = "select string_agg(source_id || ' ' || deleted_at::text, ', ' order by source_id)
                   from raw.toggl_track__tags where deleted_at is not null";
    let [fourth, third] = [moment(40), moment(50)].map(sql_text);
    assert_eq!(replaying.scalar(deleted).await, format!("3 {third}, 4 {fourth}"));
    replaying.truncate().await;

    let finished = replaying.replay(&[], 0).await;

    let after = replaying.contents("raw", &but).await;
    assert!(before == after, "{before:#?} {after:#?} {finished:#?}");
    assert!(finished.stdout.contains("  tags: 6 batches, "), "{finished:#?}");
}

#[tokio::test]
async fn new_batches_before_and_during_a_replay_do_no_harm() {
    let mut replaying = Replaying::with_past().await;
    // Rows begin with the first batch that is not too late for them.
    let but = ["synced_at", "fetched_at", "valid_from"];
    let before = replaying.contents("raw", &but).await;
    replaying.truncate().await;
    for resource in CATALOGUE.iter().step_by(2) {
        replaying.load(&nothing_new(resource, 70)).await;
    }

    let during = async {
        for resource in CATALOGUE {
            publish(&replaying.context, &nothing_new(resource, 80)).await;
        }
    };
    tokio::join!(during, replaying.replay(&[], 0));

    replaying.loaded().await;
    let after = replaying.contents("raw", &but).await;
    assert!(before == after, "{before:#?} {after:#?}");
}

#[tokio::test]
async fn a_table_with_its_claims_wiped_too_is_the_same_to_the_last_column() {
    let mut replaying = Replaying::with_past().await;
    let before = replaying.contents("raw", &["synced_at"]).await;
    replaying.truncate().await;
    replaying.execute("truncate raw.toggl_track__claims, raw.toggl_track__loads").await;

    replaying.replay(&[], 0).await;

    let after = replaying.contents("raw", &["synced_at"]).await;
    assert!(before == after, "{before:#?} {after:#?}");
    let loads = replaying.scalar("select count(*) from raw.toggl_track__loads").await;
    assert_eq!(loads, PAST.to_string());
}

#[tokio::test]
async fn a_listing_that_was_not_believed_is_not_believed_by_a_replay_either() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    for (fetched_at, ids) in [(10, 1..=20), (20, 13..=19), (30, 1..=19)] {
        replaying.load(&listing(tags, fetched_at, named(tags, ids, "tag"))).await;
    }
    let deleted = "select string_agg(source_id || ' ' || deleted_at::text, ', ')
                   from raw.toggl_track__tags where deleted_at is not null";
    let expected = format!("20 {}", sql_text(moment(30)));
    assert_eq!(replaying.scalar(deleted).await, expected);
    replaying.truncate().await;

    let finished = replaying.replay(&["--resource", "tags"], 6).await;

    assert_eq!(replaying.scalar(deleted).await, expected);
    assert!(finished.stdout.contains(", 1 listings not believed\n"), "{finished:#?}");
    // By then a newer listing covers it.
    let letters = "select count(*) from raw.toggl_track__dead_letters";
    assert_eq!(replaying.scalar(letters).await, "0");
}

#[tokio::test]
async fn what_cannot_be_loaded_is_a_dead_letter_and_an_exit_code() {
    let mut replaying = Replaying::start().await;
    let tags = resource("tags");
    let spoilt = Bytes::from_static(b"{\"id\":1,\"name\":\"\\u0000\"}");
    let bad = shared::batch::Record { data: spoilt, ..record(tags, 1, 5, "") };
    let good = record(tags, 2, 5, "good");
    replaying.load(&cut(tags, 10, Span::Partial, vec![bad, good])).await;
    let garbage = Bytes::from_static(b"garbage");
    publish_raw(&replaying.context, tags.subject(), None, garbage).await;
    replaying.loaded().await;
    let letters = "select count(*) from raw.toggl_track__dead_letters";
    assert_eq!(replaying.scalar(letters).await, "2");
    for arguments in [&[][..], &["--force"]] {
        replaying.replay(arguments, 6).await;
        assert_eq!(replaying.scalar(letters).await, "2", "the same letters");
    }
    replaying.execute("truncate raw.toggl_track__dead_letters").await;
    replaying.truncate().await;

    let finished = replaying.replay(&[], 6).await;

    let counts = "  tags: 2 batches, 1 applied, 0 unchanged, 0 stale, 0 deleted, 2 dead\n";
    assert!(finished.stdout.contains(counts), "{finished:#?}");
    assert_eq!(replaying.scalar(letters).await, "2");
    assert!(finished.stderr.contains("Kept an unreadable message"), "{finished:#?}");
}

#[tokio::test]
async fn only_the_resources_that_are_named_are_replayed() {
    let mut replaying = Replaying::with_past().await;
    replaying.truncate().await;
    let finished = replaying.replay(&["--resource", "tags,clients"], 0).await;
    assert!(finished.stdout.starts_with("Replayed 12 batches\n  clients: 6"), "{finished:#?}");
    for resource in CATALOGUE {
        let rows = tests::rows::count(&mut replaying.connection, resource).await.unwrap();
        let is_named = matches!(resource.name, "tags" | "clients");
        assert_eq!(rows, if is_named { 6 } else { 0 }, "{}", resource.name);
    }
}

#[tokio::test]
async fn a_sequence_a_time_and_an_end_bound_what_is_replayed() {
    let replaying = Replaying::start().await;
    replaying.load_past(10..=30).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let between = Timestamp::now().to_string();
    tokio::time::sleep(Duration::from_millis(20)).await;
    replaying.load_past(40..=60).await;
    let until = moment(45).to_string();
    let last = PAST.to_string();
    let cases: [(&[&str], usize, usize); 8] = [
        (&["--from-sequence", "1"], PAST, 0),
        (&["--from-sequence", &last], 1, 0),
        (&["--from-sequence", "40", "--resource", "me"], 3, 0),
        (&["--from-time", "2020-01-05"], PAST, 0),
        (&["--from-time", &between], PAST / 2, 0),
        (&["--into", "past", "--until", &until], 4 * CATALOGUE.len(), 2 * CATALOGUE.len()),
        (&["--into", "nothing", "--until", "2001-01-01"], 0, PAST),
        (
            &["--into", "tail", "--from-sequence", "40", "--until", &until, "--resource", "tags"],
            1,
            2,
        ),
    ];
    for (arguments, batches, later) in cases {
        let stdout = replaying.replay(arguments, 0).await.stdout;
        assert!(
            stdout.starts_with(&format!("Replayed {batches} batches\n")),
            "{arguments:?}: {stdout}"
        );
        let left_out = format!("\n{later} batches were fetched later and left out\n");
        assert_eq!(stdout.contains(&left_out), later > 0, "{arguments:?}: {stdout}");
    }
    let empty: [&[&str]; 2] = [&["--from-sequence", "1000000"], &["--from-time", "2100-01-01"]];
    for arguments in empty {
        let stdout = replaying.replay(arguments, 0).await.stdout;
        assert!(
            stdout.starts_with("Nothing to replay: the stream holds no such batch\n"),
            "{stdout}"
        );
    }
}

#[tokio::test]
async fn wrong_usage_and_servers_out_of_reach_are_told_apart() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let code = async |arguments: &[&str], variable: &str, value: &str| {
        let arguments: Vec<&str> = ["replay"].iter().chain(arguments).copied().collect();
        let finished = world.loader(&arguments).env(variable, value).run().await.unwrap();
        (finished.code.unwrap(), finished.stderr)
    };
    let wrong: [&[&str]; 9] = [
        &["--from-time", "yesterday"],
        &["--from-time", "2026-01-05T10:00:00"],
        &["--until", "2026-13-05"],
        &["--from-time", "2026-01-05", "--until", "2026-01-04T23:59:59Z"],
        &["--from-time", "2026-01-05", "--from-sequence", "1"],
        &["--from-sequence", "0"],
        &["--resource", "unicorns"],
        &["--until", "2026-01-05"],
        &["--into", "raw"],
    ];
    for arguments in wrong {
        // Nobody is asked.
        let (code, stderr) = code(arguments, "NATS_URL", "nats://127.0.0.1:1").await;
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
    }
    assert_eq!(code(&[], "NATS_URL", "nats://127.0.0.1:1").await.0, 5);
    let nobody = "postgres://nobody@127.0.0.1:1/none";
    assert_eq!(code(&[], "DATABASE_URL", nobody).await.0, 5);
    let (no_stream, stderr) = code(&[], "LOG_LEVEL", "warn").await;
    assert_eq!(no_stream, 1, "{stderr}");
    assert!(stderr.starts_with("error: could not look up stream TOGGL_TRACK_RAW"), "{stderr}");
    world.sync(&[]).await.unwrap();
    let (not_migrated, stderr) = code(&[], "LOG_LEVEL", "warn").await;
    assert_eq!(not_migrated, 1, "{stderr}");
    assert!(stderr.contains("run `loader migrate`"), "{stderr}");
}

/// As a database prints it whose time zone is UTC.
fn sql_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S+00").to_string()
}
