//! `loader explain --sequence`: a message of the stream in readable form.

use bytes::Bytes;
use serde_json::Value;
use shared::batch::{Record, ZSTD};
use shared::listing::Span;
use shared::stream::STREAM;
use tests::workers::Finished;

use crate::dead_letters::letters::named;
use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, moment, publish, publish_raw, record};
use crate::replay::replaying::Replaying;

impl Replaying {
    /// As somebody runs it who has no Postgres.
    async fn show(&self, sequence: &str, arguments: &[&str], code: i32) -> Finished {
        let arguments = [&["explain", "--sequence", sequence][..], arguments].concat();
        let command = self.world.loader(&arguments).without("DATABASE_URL");
        let finished = command.run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
        finished
    }
}

#[tokio::test]
async fn a_batch_is_shown_with_its_envelope_and_its_first_records() {
    let replaying = Replaying::start().await;
    let tags = resource("tags");
    let batches = listing(tags, 10, named(tags, 1..=30, "tag"));
    publish(&replaying.context, &batches).await;
    let text = replaying.show("1", &["--limit", "2"], 0).await.stdout;
    for words in [
        "Message 1\n  subject    toggl_track.raw.tags\n  published  ",
        "\n  header     Content-Encoding: zstd\n",
        &format!("\n  workspace  {WORKSPACE}\n  run        {}, part 0\n", batches[0].run_id),
        "\n  claims     complete for all ids\n  records    30\n  1, modified ",
        "\n    {\"id\":1,\"name\":\"tag\"",
        "\n  … and 28 more; --limit or --json shows them\n",
    ] {
        assert!(text.contains(words), "{words:?}: {text}");
    }
    assert!(!text.contains("\n  3, "), "{text}");

    let finished = replaying.show("1", &["--json"], 0).await;
    let lines: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 31);
    let batch = &lines[0]["batch"];
    assert_eq!(batch["sequence"], 1);
    assert_eq!(batch["run_id"], batches[0].run_id.to_string());
    assert_eq!(batch["fetched_at"], moment(10).to_string());
    assert!(
        batch["published_at"].is_string() && batch["bytes"].as_u64().unwrap() > 100,
        "{batch:#}"
    );
    assert_eq!(lines[30]["record"]["source_id"], 30);
    let data = std::str::from_utf8(&batches[0].records[29].data).unwrap();
    assert!(finished.stdout.lines().last().unwrap().contains(data), "as it came: {finished:#?}");
}

#[tokio::test]
async fn the_message_id_of_a_fetchers_batch_is_shown() {
    let replaying = Replaying::start().await;
    replaying.world.sync(&["--only", "me"]).await.unwrap();
    let text = replaying.show("1", &[], 0).await.stdout;
    assert!(text.contains("\n  header     Nats-Msg-Id: v1:me:0:"), "{text}");
    let line = replaying.show("1", &["--json"], 0).await.stdout;
    let line: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert!(line["batch"]["message_id"].as_str().unwrap().starts_with("v1:me:0:"), "{line:#}");
}

#[tokio::test]
async fn what_is_no_batch_is_shown_without_doing_anything_to_the_terminal() {
    let replaying = Replaying::start().await;
    let subject = resource("tags").subject();
    let garbage = Bytes::from_static(b"\x1b[2Jgarbage\x07");
    publish_raw(&replaying.context, subject.clone(), Some(ZSTD), garbage).await;
    publish_raw(&replaying.context, subject, Some("gz\x1b[2Jip"), Bytes::new()).await;
    let text = replaying.show("1", &[], 6).await.stdout;
    assert!(text.contains("\n  unreadable damaged zstd frame"), "{text}");
    assert!(text.contains("\n  bytes      1b5b324a67617262616765"), "{text}");
    let other = replaying.show("2", &[], 6).await.stdout;
    assert!(!text.contains('\u{1b}') && !other.contains('\u{1b}'), "{text}{other}");
    let json = replaying.show("1", &["--json"], 6).await.stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["unreadable"].is_string(), "{json:#}");
}

#[tokio::test]
async fn a_record_that_is_no_json_is_shown_escaped() {
    let replaying = Replaying::start().await;
    let tags = resource("tags");
    let data = Bytes::from_static(b"{\x1b[2J\n");
    let odd = Record { data, ..record(tags, 1, 5, "") };
    publish(&replaying.context, &cut(tags, 10, Span::Partial, vec![odd])).await;
    let text = replaying.show("1", &[], 0).await.stdout;
    assert!(text.ends_with("\n    {\\u{1b}[2J\n    \n"), "{text}");
    let json = replaying.show("1", &["--json"], 0).await.stdout;
    let line: Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["record"]["text"], "{\u{1b}[2J\n");
    assert!(line["record"]["data"].is_null(), "{line:#}");
}

#[tokio::test]
async fn a_message_that_is_not_there_is_said_to_be_gone_or_to_come() {
    let replaying = Replaying::start().await;
    let tags = resource("tags");
    for fetched_at in 1..=4 {
        publish(&replaying.context, &cut(tags, fetched_at, Span::Partial, named(tags, [1], "tag")))
            .await;
    }
    replaying.purge_before(2).await;
    replaying.context.get_stream(STREAM).await.unwrap().delete_message(3).await.unwrap();
    for (sequence, words) in [
        ("1", "no longer in the stream, which begins at sequence 2"),
        ("3", "message 3 was deleted from the stream"),
        ("9", "there is no message 9 yet: the stream ends at sequence 4"),
    ] {
        let finished = replaying.show(sequence, &[], 1).await;
        assert!(finished.stderr.contains(words), "{finished:#?}");
    }
    let wrong: [&[&str]; 5] = [
        &[],
        &["--resource", "tags"],
        &["--id", "7"],
        &["--sequence", "1", "--resource", "tags", "--id", "7"],
        &["--resource", "unicorns", "--id", "7"],
    ];
    for arguments in wrong {
        replaying.explain(arguments, 2).await;
    }
    let arguments = ["explain", "--sequence", "2"];
    let nobody = replaying.world.loader(&arguments).env("NATS_URL", "nats://127.0.0.1:1");
    assert_eq!(nobody.run().await.unwrap().code, Some(5));
}
