//! Answers that are not what the API describes.

use jiff::Timestamp;
use serde_json::Value;
use shared::listing::MAX_BYTES;
use shared::stream::STREAM;
use tests::rows::{count, raw_rows};
use tests::servers::NatsOptions;
use tests::toggl::{Account, Answer, List, Simulator};
use tests::world::World;

use crate::expected::endings::{assert_fails, assert_unspoken};
use crate::expected::rows::{assert_tables_hold, resource};

const TAGS: &str = "/api/v9/workspaces/{w}/tags";

async fn world() -> World {
    World::start(Account::sample_at(Timestamp::now())).await.unwrap()
}

#[tokio::test]
async fn lists_that_are_null_are_empty() {
    let world = World::start(Account::empty()).await.unwrap();
    world.toggl.configure(|behaviour| behaviour.empty_lists_as_null = true);
    let finished = world.sync_and_load(&[]).await.unwrap();
    assert!(finished.stdout.contains(r#""tags":0"#), "{}", finished.stdout);
    assert!(finished.stdout.contains("Time entries: 0"), "{}", finished.stdout);
}

#[tokio::test]
async fn a_body_that_is_no_json_fails_its_resource_by_name_and_no_other() {
    let world = world().await;
    let page = Answer::status(200).header("content-type", "text/html").body("<html>Log in</html>");
    world.toggl.script("/api/v9/workspaces/{w}/clients", page);
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&finished, 1, &["clients"]);
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("clients")).await.unwrap(), 0);
    assert!(count(&mut connection, resource("projects")).await.unwrap() > 0);
}

#[tokio::test]
async fn an_account_that_is_no_account_fails_the_run_clearly() {
    for body in ["<html></html>", "null", "[]", r#"{"email":"nobody"}"#] {
        let world = world().await;
        world.toggl.script("/api/v9/me", Answer::status(200).body(body).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        assert_fails(&finished, 1, &["/me"]);
    }
}

#[tokio::test]
async fn records_without_an_id_are_reported_and_their_listing_claims_nothing() {
    let world = world().await;
    let tags = r#"[{"id":1,"name":"one"},{"name":"without"},{"id":2,"name":"two"},"text"]"#;
    world.toggl.script(TAGS, Answer::json(tags));
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert!(finished.stdout.starts_with("[INCOMPLETE] "), "{}", finished.stdout);
    assert!(finished.stdout.contains("Dead letters: 2"), "{}", finished.stdout);
    assert!(finished.stderr.contains("tags cannot be used"), "{}", finished.stderr);

    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);
    let mut connection = world.connect().await.unwrap();
    let rows = raw_rows(&mut connection, resource("tags")).await.unwrap();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), [1, 2]);
    let claims = "select resource from raw.toggl_track__claims order by 1";
    let claims: Vec<String> = sqlx::query_scalar(claims).fetch_all(&mut connection).await.unwrap();
    assert!(!claims.contains(&"tags".to_owned()), "{claims:?}");
    assert!(claims.contains(&"clients".to_owned()), "{claims:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let elsewhere = Simulator::start(Account::sample_at(Timestamp::now())).await;
    for status in [301, 302, 307, 308] {
        let world = world().await;
        let target = format!("{}api/v9/workspaces/2230991/tags", elsewhere.url());
        world.toggl.script(TAGS, Answer::status(status).header("location", &target).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        assert_fails(&finished, 1, &["tags", &status.to_string()]);
        assert!(elsewhere.requests().is_empty(), "the token went to another server");
    }
}

#[tokio::test]
async fn a_record_that_no_message_can_hold_is_named_and_the_others_are_loaded() {
    let mut account = Account::sample_at(Timestamp::now());
    let workspace_id = account.workspace_id();
    let notes = Value::from(incompressible(200 * 1024)).to_string();
    account.put(List::Clients, workspace_id, &format!(r#"{{"id":7,"wid":1,"notes":{notes}}}"#));
    let options = NatsOptions { max_payload: 64 * 1024, ..NatsOptions::default() };
    let world = World::start_with(account, options).await.unwrap();

    let finished = world.fetcher(&["--days", "60"]).run().await.unwrap();

    assert_eq!(finished.code, Some(6), "{:?} {}", finished.code, finished.stdout);
    assert!(finished.stdout.contains("Records not sent: 1"), "{}", finished.stdout);
    let named = "Record 7 of clients was not sent";
    assert!(finished.stderr.contains(named), "{}", finished.stderr);
    assert_unspoken(&finished, notes.get(1..100).unwrap());
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);
    world.toggl.with_account(|account| account.remove(List::Clients, workspace_id, 7));
    assert_tables_hold(&world).await;
}

#[tokio::test]
async fn a_record_that_grew_too_large_is_left_as_it_was() {
    let options = NatsOptions { max_payload: 64 * 1024, ..NatsOptions::default() };
    let account = Account::sample_at(Timestamp::now());
    let workspace_id = account.workspace_id();
    let id = account.records(List::Clients, workspace_id)[0].id();
    let world = World::start_with(account, options).await.unwrap();
    world.sync_and_load(&[]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let before = raw_rows(&mut connection, resource("clients")).await.unwrap();

    let notes = Value::from(incompressible(200 * 1024)).to_string();
    world.toggl.with_account(|account| {
        account.edit(List::Clients, workspace_id, id, &[("notes", &notes)]);
    });
    assert_eq!(world.fetcher(&[]).run().await.unwrap().code, Some(6));
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);

    assert_eq!(before, raw_rows(&mut connection, resource("clients")).await.unwrap());
}

#[tokio::test]
async fn a_record_that_cannot_be_used_is_kept_as_one_dead_letter_however_often_it_comes() {
    let world = world().await;
    let tags = r#"[{"id":1,"name":"one"},{"name":"without"},{"id":3,"at":"yesterday"},"text"]"#;
    world.toggl.script(TAGS, Answer::json(tags).forever());
    for _ in 0..2 {
        assert_eq!(world.fetcher(&[]).run().await.unwrap().code, Some(6));
        let loader = world.start_loader().await.unwrap();
        world.loaded().await.unwrap();
        assert_eq!(loader.terminate().await.unwrap(), Some(0));
    }
    let mut connection = world.connect().await.unwrap();
    let letters: Vec<(Option<i64>, String, String)> = sqlx::query_as(
        "select source_id, reason, convert_from(payload, 'UTF8')
         from raw.toggl_track__dead_letters where resource = 'tags' order by record_index",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let letter = |id, reason: &str, text: &str| (id, reason.to_owned(), text.to_owned());
    assert_eq!(
        letters,
        [
            letter(None, "it has no integer id", r#"{"name":"without"}"#),
            letter(Some(3), r#"its at is not a time: "yesterday""#, r#"{"id":3,"at":"yesterday"}"#),
            letter(None, "it is not a JSON object", r#""text""#),
        ]
    );
    let runs = tests::rows::ledger(&mut connection, "tags").await.unwrap();
    assert!(runs.iter().all(|[received, .., dead]| (*received, *dead) == (4, 3)), "{runs:?}");
}

#[tokio::test]
async fn an_unusable_profile_of_a_workspace_gives_no_secret_away() {
    let world = world().await;
    let list = r#"[{"id":2230991,"name":"fine"},{"name":"no id","api_token":"s3cretw0rd"},["s3cretw0rd"]]"#;
    world.toggl.script("/api/v9/workspaces", Answer::json(list));
    let finished = world.fetcher(&["--log-level", "debug"]).run().await.unwrap();
    assert_eq!(finished.code, Some(6), "{finished:#?}");
    assert_unspoken(&finished, "s3cretw0rd");
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    assert_eq!(loader.terminate().await.unwrap(), Some(0));
    let mut connection = world.connect().await.unwrap();
    let letters: Vec<Vec<u8>> = sqlx::query_scalar(
        "select payload || coalesce(batch, '') from raw.toggl_track__dead_letters",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(letters.len(), 2);
    assert!(
        letters.iter().all(|l| !String::from_utf8_lossy(l).contains("s3cretw0rd")),
        "{letters:?}"
    );
}

#[tokio::test]
async fn a_list_whose_shape_has_changed_fails_its_resource_and_fills_no_dead_letters() {
    let world = world().await;
    let renamed: Vec<String> = (0..200).map(|id| format!(r#"{{"uuid":"{id}"}}"#)).collect();
    world.toggl.script(TAGS, Answer::json(format!("[{}]", renamed.join(","))));
    let finished = world.fetcher(&[]).run().await.unwrap();
    assert_fails(&finished, 1, &["tags", "200 of 200", "changed"]);
    let loader = world.start_loader().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);
    let mut connection = world.connect().await.unwrap();
    let letters: i64 = sqlx::query_scalar("select count(*) from raw.toggl_track__dead_letters")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(letters, 0);
}

#[tokio::test]
async fn bodies_of_every_wrong_kind_fail_their_resource_alone() {
    for body in ["", "tru", r#"{"data":[]}"#, r#"[{"id":1},"#, "7", r#""words""#, "[1,2"] {
        let world = world().await;
        world.toggl.script(TAGS, Answer::json(body).forever());
        let finished = world.fetcher(&[]).run().await.unwrap();
        assert_fails(&finished, 1, &["tags"]);
        assert_eq!(finished.stdout, "", "{body:?} is no success, not even a partial one");
    }
    let world = world().await;
    world.toggl.script("/api/v9/workspaces/{w}/tasks", Answer::json("[]"));
    let finished = world.fetcher(&["--only", "tasks"]).run().await.unwrap();
    assert_fails(&finished, 1, &["tasks"]);
}

#[tokio::test]
async fn a_slow_trickle_ends_with_the_time_limit_of_the_request() {
    let world = world().await;
    let drip = Answer::pass_through().trickle(1, std::time::Duration::from_millis(200));
    world.toggl.script(TAGS, drip.forever());
    let fetcher = world.fetcher(&[]).env("TOGGL_TIMEOUT", "2s");
    let finished = fetcher.run().await.unwrap();
    assert_fails(&finished, 1, &["tags", "TOGGL_TIMEOUT"]);
    assert_eq!(world.toggl.count("/api/v9/workspaces/2230991/tags"), 2, "asked for once more");
}

#[tokio::test]
async fn a_list_of_200_megabytes_is_loaded_whole() {
    let world = world().await;
    let notes = "x".repeat(20_000);
    let clients: Vec<String> = (1..=10_000)
        .map(|id| {
            format!(r#"{{"id":{id},"wid":2230991,"archived":false,"name":"n","notes":"{notes}"}}"#)
        })
        .collect();
    let list = format!("[{}]", clients.join(","));
    assert!(list.len() > 200_000_000, "{}", list.len());
    world.toggl.script("/api/v9/workspaces/{w}/clients", Answer::json(list).forever());
    let fetcher = world.fetcher(&["--only", "clients"]).env("STREAM_MAX_BYTES", "-1");
    let finished = fetcher.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stdout.contains(r#""clients":10000"#), "{}", finished.stdout);
    let loader = world.loader(&[]).env("STREAM_MAX_BYTES", "-1").start().await.unwrap();
    world.loaded().await.unwrap();
    drop(loader);
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("clients")).await.unwrap(), 10_000);
}

#[tokio::test]
async fn a_list_that_does_not_pack_arrives_whole_in_messages_that_fit() {
    const NOTES: usize = 8_000;
    let world = world().await;
    let noise = incompressible(300 * NOTES);
    let notes = noise.as_bytes().chunks(NOTES).map(|notes| std::str::from_utf8(notes).unwrap());
    let clients: Vec<String> = (1..)
        .zip(notes)
        .map(|(id, notes)| {
            format!(r#"{{"id":{id},"wid":2230991,"archived":false,"name":"n","notes":"{notes}"}}"#)
        })
        .collect();
    let list = format!("[{}]", clients.join(","));
    world.toggl.script("/api/v9/workspaces/{w}/clients", Answer::json(list).forever());
    world.sync_and_load(&["--only", "clients"]).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    assert_eq!(count(&mut connection, resource("clients")).await.unwrap(), 300);

    let context = world.jetstream().await.unwrap();
    let stream = context.get_stream(STREAM).await.unwrap();
    let messages = stream.cached_info().state.messages;
    assert!(messages > 3, "{messages}");
    for sequence in 1..=messages {
        let bytes = stream.get_raw_message(sequence).await.unwrap().payload.len();
        assert!(bytes <= MAX_BYTES, "message {sequence} has {bytes} bytes");
    }
}

/// Letters without a pattern that a compressor could use.
fn incompressible(length: usize) -> String {
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]
    });
    letters.take(length).collect()
}
