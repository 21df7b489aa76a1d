//! `loader explain` of a row: what is stored, and what became of it in each batch.

use bytes::Bytes;
use serde_json::Value;
use shared::batch::{Batch, Record};
use shared::listing::Span;
use shared::resource::Resource;
use tests::workers::Finished;

use crate::claims::brought_back::deleted;
use crate::dead_letters::letters::{Letters, named, poison};
use crate::expected::rows::resource;
use crate::given::batches::{WORKSPACE, cut, listing, moment, record};
use crate::replay::replaying::Replaying;

impl Replaying {
    pub(crate) async fn explain(&self, arguments: &[&str], code: i32) -> Finished {
        let arguments: Vec<&str> = ["explain"].iter().chain(arguments).copied().collect();
        let finished = self.world.loader(&arguments).run().await.unwrap();
        assert_eq!(finished.code, Some(code), "{arguments:?}: {finished:#?}");
        finished
    }

    pub(super) async fn text(&self, resource: &str, id: &str) -> String {
        self.explain(&["--resource", resource, "--id", id], 0).await.stdout
    }

    pub(super) async fn json(&self, resource: &str, id: &str) -> Value {
        let finished = self.explain(&["--resource", resource, "--id", id, "--json"], 0).await;
        serde_json::from_str(&finished.stdout).unwrap()
    }
}

/// What became of it in each batch that matters, the first loaded first: `1 created`.
pub(super) fn story(answer: &Value) -> Vec<String> {
    let batches = answer["batches"].as_array().unwrap().iter().rev();
    let became = batches.filter(|batch| batch["became"] != "not_covered");
    let words = became.map(|batch| {
        assert!(
            batch["words"].is_string()
                || matches!(batch["became"].as_str(), Some("gone" | "unread"))
        );
        format!("{} {}", batch["stream_sequence"], batch["became"].as_str().unwrap())
    });
    words.collect()
}

pub(super) fn tags() -> &'static Resource {
    resource("tags")
}

pub(super) fn partial(fetched_at: i64, records: Vec<Record>) -> Vec<Batch> {
    cut(tags(), fetched_at, Span::Partial, records)
}

#[tokio::test]
async fn a_record_that_was_edited_is_traced_to_the_batch_that_brought_it() {
    let replaying = Replaying::start().await;
    replaying.load(&partial(10, vec![record(tags(), 7, 5, "first")])).await;
    replaying.load(&partial(20, vec![record(tags(), 8, 5, "another")])).await;
    replaying.load(&partial(30, vec![record(tags(), 7, 25, "second")])).await;
    replaying.load(&partial(40, vec![record(tags(), 7, 25, "second")])).await;
    // Published late, and older.
    replaying.load(&partial(15, vec![record(tags(), 7, 5, "first")])).await;

    let answer = replaying.json("tags", "7").await;

    let expected = ["1 created", "3 updated", "4 unchanged", "5 stale"];
    assert_eq!(story(&answer), expected, "{answer:#}");
    let stored = &answer["stored"];
    assert_eq!(stored["state"], "live");
    assert_eq!(stored["data"]["name"], "second");
    assert_eq!(stored["brought_by"]["stream_sequence"], 4, "{answer:#}");
    assert_eq!(stored["modified_at"], moment(25).to_string());
    let kinds: Vec<_> = answer["history"].as_array().unwrap().iter().map(|c| &c["kind"]).collect();
    assert_eq!(kinds, ["updated", "created"]);
    let of_today = |batch: &Value| batch["is_stored_version"] == true;
    assert_eq!(answer["batches"].as_array().unwrap().iter().filter(|b| of_today(b)).count(), 2);

    let text = replaying.text("tags", "7").await;
    assert!(
        text.starts_with(&format!("tags 7 of workspace {WORKSPACE}\n  state      live\n")),
        "{text}"
    );
    let time = |second| moment(second).strftime("%Y-%m-%d %H:%M:%S");
    for words in [
        format!(
            "has it, newer than what was stored (modified {}, seen {}) and different: written",
            time(5),
            time(10)
        ),
        format!(
            "has it, not newer than what was stored (modified {}, seen {}): not written",
            time(25),
            time(40)
        ),
        "It is the version that is stored now".to_owned(),
        "  1 of them neither have it nor are complete for it\n".to_owned(),
        "  data       {\"at\": ".to_owned(),
    ] {
        assert!(text.contains(&words), "{words:?}: {text}");
    }
    let whole = replaying.explain(&["--resource", "tags", "--id", "7", "--data"], 0).await;
    assert!(whole.stdout.contains("\n      \"name\": \"second\""), "{whole:#?}");
}

#[tokio::test]
async fn an_entry_is_covered_by_when_it_starts_and_whose_it_is() {
    let replaying = Replaying::start().await;
    let entries = resource("time_entries");
    let window = |fetched_at, from: i64, to: i64, user_id, ids: &[i64]| {
        let span = Span::Starts { from: moment(from * 100), to: moment(to * 100), user_id };
        cut(entries, fetched_at, span, named(entries, ids.iter().copied(), "entry"))
    };
    let user = Some(crate::given::batches::USER);
    replaying.load(&window(10, 0, 9, user, &[3, 4])).await;
    replaying.load(&window(20, 5, 9, user, &[])).await;
    replaying.load(&window(30, 0, 9, Some(1), &[])).await;
    replaying.load(&window(40, 4, 9, user, &[])).await;
    let answer = replaying.json("time_entries", "4").await;
    assert_eq!(story(&answer), ["1 created", "4 marked_deleted"], "{answer:#}");
    assert_eq!(answer["stored"]["user_id"], crate::given::batches::USER);
    let other = replaying.json("time_entries", "3").await;
    assert_eq!(story(&other), ["1 created"], "{other:#}");
}

#[tokio::test]
async fn a_record_that_postgres_refused_is_its_dead_letter() {
    let mut letters = Letters::start().await;
    letters.refuse(tags(), "no_poison").await;
    letters.load(&partial(10, named(tags(), [1], "poison"))).await;
    let id = letters.only_id().await;
    let run = async |arguments: &[&str]| {
        let arguments: Vec<_> = ["explain", "--resource", "tags", "--id", "1"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        letters.world.loader(&arguments).run().await.unwrap()
    };
    let finished = run(&["--json"]).await;
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let answer: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(story(&answer), ["1 dead_letter"], "{answer:#}");
    assert!(answer["stored"].is_null());
    assert_eq!(answer["dead_letters"][0]["dead_letter_id"], id);
    let text = run(&[]).await.stdout;
    assert!(text.contains(&format!("has it; kept as dead letter {id}: ")), "{text}");
    assert!(text.starts_with("tags 1 is not stored\n"), "{text}");
}

/// Nothing of it is applied, and once it is overtaken its letter is gone, too.
#[tokio::test]
async fn a_batch_that_was_kept_whole_is_its_dead_letter_and_wrote_nothing() {
    let mut letters = Letters::start().await;
    letters.refuse(tags(), "no_poison").await;
    letters.load(&listing(tags(), 10, named(tags(), [99], "good"))).await;
    let mut records = poison(tags(), 1..=60);
    records.extend(named(tags(), [70], "good"));
    letters.load(&listing(tags(), 20, records)).await;
    let id = letters.only_id().await;
    let told = async |letters: &Letters, tag: &str| {
        let arguments = ["explain", "--resource", "tags", "--id", tag, "--json"];
        let finished = letters.world.loader(&arguments).run().await.unwrap();
        story(&serde_json::from_str(&finished.stdout).unwrap())
    };
    assert_eq!(told(&letters, "70").await, ["1 not_there", "2 dead_letter"]);
    assert_eq!(told(&letters, "99").await, ["1 created", "2 not_believed"]);
    let text = letters.world.loader(&["explain", "--resource", "tags", "--id", "70"]).run().await;
    let text = text.unwrap().stdout;
    assert!(text.contains(&format!("has it; kept as dead letter {id}: ")), "{text}");

    letters.load(&listing(tags(), 30, named(tags(), [99], "good"))).await;
    letters.assert_none().await;
    assert_eq!(told(&letters, "70").await, ["1 not_there", "2 not_written", "3 not_there"]);
}

#[tokio::test]
async fn a_batch_by_a_clock_that_is_not_believed_is_as_old_as_its_message() {
    let replaying = Replaying::start().await;
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1_000);
    let [batch] = &mut *partial(10, vec![record(tags(), 7, 5, "by a clock that is ahead")]) else {
        panic!("not one batch");
    };
    batch.fetched_at = ahead;
    replaying.load(std::slice::from_ref(batch)).await;
    let [batch] = &mut *partial(10, vec![record(tags(), 7, 5, "fetched later")]) else {
        panic!("not one batch");
    };
    batch.fetched_at = jiff::Timestamp::now();
    replaying.load(std::slice::from_ref(batch)).await;
    let answer = replaying.json("tags", "7").await;
    assert_eq!(story(&answer), ["1 created", "2 updated"], "{answer:#}");
    assert_eq!(answer["stored"]["brought_by"]["stream_sequence"], 2, "{answer:#}");
}

#[tokio::test]
async fn a_listing_that_was_not_believed_is_named_by_its_dead_letter() {
    let replaying = Replaying::start().await;
    replaying.load(&listing(tags(), 10, named(tags(), 1..=20, "tag"))).await;
    replaying.load(&listing(tags(), 20, named(tags(), 13..=19, "tag"))).await;
    let answer = replaying.json("tags", "1").await;
    assert_eq!(story(&answer), ["1 created", "2 not_believed"], "{answer:#}");
    assert_eq!(answer["stored"]["state"], "live");
    assert_eq!(
        answer["dead_letters"],
        Value::Array(Vec::new()),
        "that of no row is none of its own"
    );
}

#[tokio::test]
async fn what_has_left_the_stream_and_a_stream_out_of_reach_are_told_apart() {
    let replaying = Replaying::start().await;
    replaying.load(&partial(10, vec![record(tags(), 7, 5, "first")])).await;
    replaying.load(&partial(20, vec![record(tags(), 7, 15, "second")])).await;
    replaying.purge_before(2).await;
    let answer = replaying.json("tags", "7").await;
    assert_eq!(story(&answer), ["1 gone", "2 unclear"], "{answer:#}");
    let text = replaying.text("tags", "7").await;
    assert!(text.contains("is gone from the stream: what it held is not known"), "{text}");

    let arguments = ["explain", "--resource", "tags", "--id", "7", "--json"];
    let nobody = replaying.world.loader(&arguments).env("NATS_URL", "nats://127.0.0.1:1");
    let finished = nobody.run().await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let answer: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(story(&answer), ["1 unread", "2 unread"], "{answer:#}");
    assert!(answer["stream_away"].as_str().unwrap().contains("127.0.0.1:1"), "{answer:#}");
    assert_eq!(answer["stored"]["brought_by"]["stream_sequence"], 2);

    let nobody = "postgres://nobody@127.0.0.1:1/none";
    let finished =
        replaying.world.loader(&arguments).env("DATABASE_URL", nobody).run().await.unwrap();
    assert_eq!(finished.code, Some(5), "{finished:#?}");
}

#[tokio::test]
async fn only_the_last_batches_are_read_and_what_was_before_is_left_open() {
    let replaying = Replaying::start().await;
    for fetched_at in 1..=6 {
        let name = format!("name {fetched_at}");
        replaying.load(&partial(fetched_at * 10, vec![record(tags(), 7, fetched_at, &name)])).await;
    }
    replaying.load(&partial(70, vec![record(tags(), 7, 6, "name 6")])).await;
    let arguments = ["--resource", "tags", "--id", "7", "--json", "--batches"];
    let run = async |most: &str| {
        let finished = replaying.explain(&[&arguments[..], &[most]].concat(), 0).await;
        serde_json::from_str::<Value>(&finished.stdout).unwrap()
    };
    assert_eq!(story(&run("2").await), ["6 unclear", "7 unchanged"]);
    assert_eq!(story(&run("1").await), ["7 not_written"]);
    assert_eq!(story(&run("0").await), ["7 unread"]);
    assert_eq!(story(&run("7").await)[..2], ["1 created", "2 updated"]);
}

#[tokio::test]
async fn of_what_was_never_heard_of_it_is_said_what_would_bring_it() {
    let replaying = Replaying::start().await;
    let unknown = async |resource: &str, words: &str| {
        let finished = replaying.explain(&["--resource", resource, "--id", "99"], 6).await;
        assert!(finished.stdout.contains("nothing was ever heard of it"), "{finished:#?}");
        assert!(finished.stdout.contains(words), "{finished:#?}");
    };
    unknown("tags", "`fetcher --only tags` reads one").await;
    unknown("time_entries", "`fetcher report --from DATE`").await;
    unknown("me", "listings of me claim nothing").await;
    replaying.load(&listing(tags(), 10, named(tags(), 1..=2, "tag"))).await;
    unknown("tags", "would have had it: at Toggl it was not there then").await;
    unknown("tags", "is complete for it and lacks it; it was not stored\n").await;
}

#[tokio::test]
async fn an_id_of_several_workspaces_is_asked_for_with_one_of_them() {
    let replaying = Replaying::start().await;
    let users = resource("users");
    for (workspace_id, fetched_at) in [(1, 10), (2, 20)] {
        let batches = listing(users, fetched_at, named(users, [7], "Ünï"));
        let batches = batches.into_iter().map(|batch| Batch { workspace_id, ..batch });
        replaying.load(&batches.collect::<Vec<_>>()).await;
    }
    let finished = replaying.explain(&["--resource", "users", "--id", "7"], 2).await;
    assert!(finished.stderr.contains("workspaces (1, 2)"), "{finished:#?}");
    let arguments = ["--resource", "users", "--id", "7", "--workspace", "2"];
    let text = replaying.explain(&arguments, 0).await.stdout;
    assert!(text.starts_with("users 7 of workspace 2\n"), "{text}");
    assert!(text.contains("in the last 1 batches"), "{text}");
}

#[tokio::test]
async fn what_the_fetcher_could_make_no_record_of_is_told_too() {
    let replaying = Replaying::start().await;
    let rejected = shared::batch::Rejected {
        source_id: Some(7),
        reason: "its start is no time".to_owned(),
        data: Bytes::from_static(b"{\"id\":7}"),
    };
    let mut batches = partial(10, vec![record(tags(), 1, 5, "tag")]);
    batches[0].rejected.push(rejected);
    replaying.load(&batches).await;
    let answer = replaying.json("tags", "7").await;
    assert_eq!(story(&answer), ["1 dead_letter"], "{answer:#}");
    assert_eq!(answer["known"], true);
}

/// As the loader has it: neither is told by Toggl's time of change alone.
#[tokio::test]
async fn a_deletion_is_undone_by_an_older_time_of_change_and_none_is_older_than_the_last_sight() {
    let entries = resource("time_entries");
    let seen = || vec![record(entries, 1, 5, "A")];
    let window = Span::Starts { from: moment(0), to: moment(10_000), user_id: None };
    let replaying = Replaying::start().await;
    replaying.load(&cut(entries, 10, window, seen())).await;
    replaying.load(&cut(entries, 40, Span::Partial, vec![deleted(&seen()[0], 30)])).await;
    replaying.load(&cut(entries, 60, window, seen())).await;
    replaying.load(&cut(entries, 65, Span::Partial, vec![deleted(&seen()[0], 55)])).await;
    replaying.load(&cut(entries, 80, window, seen())).await;
    replaying.load(&cut(entries, 70, Span::Partial, vec![deleted(&seen()[0], 68)])).await;
    let answer = replaying.json("time_entries", "1").await;
    let told = ["1 created", "2 deleted", "3 restored", "4 deleted", "5 restored", "6 stale"];
    assert_eq!(story(&answer), told, "{answer:#}");
    assert_eq!(answer["stored"]["state"], "live", "{answer:#}");
}
