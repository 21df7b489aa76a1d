//! `loader dead-letters`: looking at what could not be loaded, and discarding it.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use shared::batch::{Record, ZSTD};
use shared::listing::Span;
use sqlx::Executor as _;
use tests::toggl::Account;
use tests::workers::{Finished, folder};
use tests::world::World;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::dead_letters::letters::{Letters, poison};
use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, moment, publish_raw, record};

impl Letters {
    /// Three tags and a group that are refused, and a message that cannot be decoded.
    async fn with_five() -> Self {
        let mut letters = Self::start().await;
        let (tags, groups) = (resource("tags"), resource("groups"));
        letters.refuse(tags, "no_poison").await;
        letters.refuse(groups, "never_poison").await;
        letters.load(&cut(tags, 10, Span::Partial, poison(tags, 1..=3))).await;
        letters.load(&cut(groups, 10, Span::Partial, poison(groups, 1..=1))).await;
        let garbage = Bytes::from_static(GARBAGE);
        publish_raw(&letters.context, tags.subject(), None, garbage).await;
        letters.loaded().await;
        assert_eq!(letters.ids().await.len(), 5, "{}", letters.loader.log());
        letters
    }

    /// Source ids that `list` shows with these arguments, in its order.
    async fn listed(&self, arguments: &[&str]) -> Vec<Option<i64>> {
        let arguments: Vec<_> = ["list", "--json"].iter().chain(arguments).copied().collect();
        let finished = self.run(&arguments, 0).await;
        objects(&finished).iter().map(|object| object["source_id"].as_i64()).collect()
    }
}

const GARBAGE: &[u8] = b"\x1b[2Jgarb\x00age\n";

fn objects(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_list_of_none_says_so() {
    let letters = Letters::start().await;
    assert_eq!(letters.run(&["list"], 0).await.stdout, "No dead letters\n");
    assert_eq!(letters.run(&["list", "--json"], 0).await.stdout, "");
    assert_eq!(letters.run(&["retry", "--all"], 0).await.stdout, "No dead letters to apply\n");
    let finished = letters.run(&["discard", "--all", "--yes"], 0).await;
    assert_eq!(finished.stdout, "No dead letters to discard\n");
}

#[tokio::test]
async fn a_list_shows_the_newest_first_and_can_be_filtered_and_limited() {
    let mut letters = Letters::with_five().await;
    let ids = letters.ids().await;
    let shown = letters.run(&["list"], 0).await.stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 6, "{shown}");
    assert!(lines[0].trim_start().starts_with("ID  RESOURCE  SOURCE ID  CREATED"), "{shown}");
    for (line, id) in lines[1..].iter().zip(ids.iter().rev()) {
        assert!(line.trim_start().starts_with(&format!("{id}  ")), "{shown}");
    }
    assert!(lines[1].contains("tags") && lines[1].contains("not a MessagePack batch"), "{shown}");
    assert!(lines[2].contains("groups") && lines[2].contains("never_poison"), "{shown}");

    assert_eq!(letters.listed(&[]).await, [None, Some(1), Some(3), Some(2), Some(1)]);
    assert_eq!(letters.listed(&["--resource", "groups"]).await, [Some(1)]);
    assert_eq!(letters.listed(&["--resource", "groups,clients"]).await, [Some(1)]);
    assert!(letters.listed(&["--resource", "clients"]).await.is_empty());
    assert_eq!(letters.listed(&["--reason", "never_POISON"]).await, [Some(1)]);
    assert!(letters.listed(&["--reason", "never%"]).await.is_empty());
    let two = format!("{},{}", ids[1], ids[2]);
    assert_eq!(letters.listed(&["--id", &two]).await, [Some(3), Some(2)]);
    assert!(letters.listed(&["--id", &two, "--reason", "MessagePack"]).await.is_empty());

    let limited = letters.run(&["list", "--limit", "2"], 0).await.stdout;
    assert_eq!(limited.lines().count(), 4, "{limited}");
    assert!(limited.ends_with("3 more are not listed; raise --limit to see them\n"), "{limited}");
    let limited = letters.run(&["list", "--limit", "2", "--json"], 0).await;
    assert_eq!(objects(&limited).len(), 2);
    assert!(limited.stderr.contains("3 more"), "{limited:?}");
}

#[tokio::test]
async fn many_are_counted_by_resource_and_reason() {
    let mut letters = Letters::start().await;
    for (name, records) in [("tags", 9), ("groups", 2)] {
        letters.refuse(resource(name), "no_poison").await;
        let records = poison(resource(name), 1..=records);
        letters.load(&cut(resource(name), 10, Span::Partial, records)).await;
    }
    let shown = letters.run(&["list", "--limit", "1"], 0).await.stdout;
    let summary = shown.lines().nth(2).unwrap();
    assert!(summary.starts_with("11 dead letters: 9 tags (") && summary.contains("), 2 groups ("));
    // One object a line, with everything but the bytes.
    let object = &objects(&letters.run(&["list", "--json"], 0).await)[0];
    assert_eq!(object["kind"], "record");
    assert_eq!(object["sqlstate"], "23514");
    assert_eq!(object["workspace_id"], WORKSPACE);
    assert_eq!(object["subject"], "toggl_track.raw.groups");
    assert_eq!(object["fetched_at"], moment(10).to_string());
    assert!(object["run_id"].is_string() && object["payload_bytes"].as_u64() > Some(0), "{object}");
}

#[tokio::test]
async fn everything_about_one_is_shown_and_no_terminal_is_harmed() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let data = Bytes::from_static(b"{\"id\":1,\n \"name\":\"\\u0000 \x1b[31m\xe2\x80\xaeb\"}");
    let spoilt = Record { data: data.clone(), ..record(tags, 1, 5, "") };
    letters.load(&cut(tags, 10, Span::Partial, vec![spoilt])).await;
    let id = letters.only_id().await.to_string();
    let shown = letters.run(&["show", &id], 0).await.stdout;
    for words in [
        &*format!("Dead letter {id} (record)\n"),
        "  SQLSTATE   22P0",
        "  source id  1\n",
        "  subject    toggl_track.raw.tags\n",
        "  batch      tags of ",
        ": 1 records, complete for nothing\n",
        "    {\"id\":1,\n     \"name\":\"\\u0000 \\u{1b}[31m\\u{202e}b\"}\n",
    ] {
        assert!(shown.contains(words), "{words:?}: {shown}");
    }
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert!(!letters.run(&["list"], 0).await.stdout.contains('\x1b'));
    let payload = letters.run(&["show", &id, "--payload"], 0).await.stdout;
    assert_eq!(payload.as_bytes(), data);
}

#[tokio::test]
async fn a_whole_message_is_shown_by_its_envelope_or_its_first_bytes() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    publish_raw(&letters.context, tags.subject(), None, Bytes::from_static(GARBAGE)).await;
    letters.loaded().await;
    let batch = listing(tags, 10, poison(tags, 1..=3)).remove(0);
    let payload = batch.encode().unwrap();
    publish_raw(&letters.context, tags.subject(), Some("x\0y\x1b"), payload).await;
    letters.loaded().await;
    let ids = letters.ids().await;
    let [garbage, unknown] = [ids[0].to_string(), ids[1].to_string()];
    let shown = letters.run(&["show", &garbage], 0).await.stdout;
    assert!(shown.contains("cannot be decoded: not a MessagePack batch"), "{shown}");
    assert!(shown.contains("\n    1b5b324a67617262006167650a\n"), "{shown}");
    let payload = letters.run(&["show", &garbage, "--payload"], 0).await.stdout;
    assert_eq!(payload.as_bytes(), GARBAGE);
    let shown = letters.run(&["show", &unknown], 0).await.stdout;
    assert!(shown.contains("  encoding   x\u{fffd}y\\u{1b}\n"), "{shown}");

    let readable = format!(
        "update raw.toggl_track__dead_letters set encoding = '{ZSTD}' where dead_letter_id = {unknown}"
    );
    letters.execute(readable).await;
    let shown = letters.run(&["show", &unknown], 0).await.stdout;
    assert!(shown.contains("part 0: 3 records, complete for all ids\n"), "{shown}");
}

#[tokio::test]
async fn what_is_discarded_is_gone_and_nothing_else() {
    let mut letters = Letters::with_five().await;
    let ids = letters.ids().await;
    let first = format!("{},{},999999", ids[0], ids[2]);
    let finished = letters.run(&["discard", "--id", &first, "--yes"], 0).await;
    assert_eq!(finished.stdout, "There is no dead letter 999999\nDiscarded 2 dead letters\n");
    assert_eq!(letters.ids().await, [ids[1], ids[3], ids[4]]);
    let finished = letters
        .run(&["discard", "--resource", "tags", "--reason", "messagepack", "--yes"], 0)
        .await;
    assert_eq!(finished.stdout, "Discarded 1 dead letter\n");
    assert_eq!(letters.ids().await, [ids[1], ids[3]]);
    letters.run(&["discard", "--all", "--yes"], 0).await;
    letters.assert_none().await;
    let rows = tests::rows::count(&mut letters.connection, resource("tags")).await.unwrap();
    assert_eq!(rows, 0, "nothing was applied");
}

/// Runs a program on a terminal of its own and types what comes on standard input.
const ON_A_TERMINAL: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[tokio::test]
async fn on_a_terminal_it_asks_and_only_a_yes_discards() {
    let mut letters = Letters::with_five().await;
    let loader = folder().await.unwrap().join("loader");
    for (answer, said, left) in [
        ("\n", "Nothing was discarded", 5),
        ("no\n", "Nothing was discarded", 5),
        ("y\n", "Discarded 5 dead letters", 0),
    ] {
        let mut python = Command::new("python3");
        python.args(["-c", ON_A_TERMINAL]).arg(&loader).args(["dead-letters", "discard", "--all"]);
        python.env("DATABASE_URL", &letters.world.database.url).env("LOG_LEVEL", "debug");
        let pipe = || Stdio::piped();
        python.stdin(pipe()).stdout(pipe()).stderr(pipe()).kill_on_drop(true);
        let mut python = python.spawn().unwrap();
        // Kept open: a terminal does not end before its program does.
        let mut stdin = python.stdin.take().unwrap();
        stdin.write_all(answer.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_mins(2), python.wait_with_output()).await;
        let output = ended.expect("it ends when it is answered").unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{shown}");
        assert!(shown.contains("Discard 5 dead letters? Nothing brings them back."), "{shown}");
        assert!(shown.contains(said), "{shown}");
        assert_eq!(letters.ids().await.len(), left);
        drop(stdin);
    }
}

#[tokio::test]
async fn wrong_usage_is_refused_before_anything_is_done() {
    let mut letters = Letters::with_five().await;
    let cases: [(&[&str], &str); 10] = [
        (&["retry"], "--all"),
        (&["discard", "--yes"], "--all"),
        (&["retry", "--all", "--id", "1"], "cannot be used with"),
        (&["discard", "--all", "--resource", "tags", "--yes"], "cannot be used with"),
        (&["retry", "--reason", ""], "--reason"),
        (&["retry", "--resource", "unicorns"], "unicorns"),
        (&["list", "--id", "0"], "--id"),
        (&["show"], "<ID>"),
        (&["discard", "--all"], "--yes"),
        (&["mend"], "mend"),
    ];
    for (arguments, words) in cases {
        let finished = letters.run(arguments, 2).await;
        assert!(finished.stderr.contains(words), "{arguments:?}: {finished:?}");
    }
    assert_eq!(letters.ids().await.len(), 5);
    let finished = letters.run(&["show", "999999"], 1).await;
    assert_eq!(finished.stderr, "error: there is no dead letter 999999\n");
}

#[tokio::test]
async fn a_database_that_is_not_migrated_or_not_there_is_told_apart() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    for arguments in [&["list"][..], &["show", "1"], &["retry", "--all"], &["discard", "--id", "1"]]
    {
        let arguments: Vec<_> = ["dead-letters"].iter().chain(arguments).copied().collect();
        let yes = if arguments.contains(&"discard") { &["--yes"][..] } else { &[] };
        let command = || world.loader(&[&arguments, yes].concat());
        let finished = command().run().await.unwrap();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains("run `loader migrate`"), "{finished:?}");
        let nobody = command().env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
        assert_eq!(nobody.run().await.unwrap().code, Some(5));
        assert_eq!(command().without("DATABASE_URL").run().await.unwrap().code, Some(2));
    }
    let mut connection = world.connect().await.unwrap();
    let schema: bool = sqlx::query_scalar("select to_regnamespace('raw') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!schema, "nothing was migrated");
}

#[tokio::test]
async fn letters_that_were_kept_before_are_told_apart_too() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let migrations = [
        "create schema raw",
        include_str!("../../../migrations/20261123090000_create_bookkeeping.sql"),
        "insert into raw.toggl_track__loads
         select run.id, 'tags', 7, 0, 1, 0, 0, 0, 0, 1, '2026-01-01', '2026-01-01', 3
         from (values (gen_random_uuid())) as run(id);
         insert into raw.toggl_track__dead_letters
             (resource, subject, stream_sequence, published_at, record_index, source_id, run_id,
              reason, payload, batch)
         select 'tags', 's', 3, now(), place, place, run_id, 'r', 'p'::bytea, batch
         from raw.toggl_track__loads,
              (values (0, '\\x01'::bytea), (1, null), (null, '\\x01')) as kept(place, batch)
         union all
         select 'tags', 's', 4, now(), null, null, null::uuid, 'r', 'p', null",
        include_str!("../../../migrations/20261123130000_tell_dead_letters_apart.sql"),
    ];
    for sql in migrations {
        connection.execute(sql).await.unwrap();
    }
    let sql = "select kind, workspace_id, fetched_at = '2026-01-01'
               from raw.toggl_track__dead_letters order by dead_letter_id";
    let kinds: Vec<(String, Option<i64>, Option<bool>)> =
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    let known = |kind: &str| (kind.to_owned(), Some(7), Some(true));
    let unknown = ("message".to_owned(), None, None);
    assert_eq!(kinds, [known("record"), known("rejected"), known("claim"), unknown]);
}
