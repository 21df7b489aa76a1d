//! `loader dead-letters retry`: by the rules of every batch, each letter once or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use shared::batch::{Coverage, Rejected, ZSTD};
use shared::listing::Span;
use sqlx::{Connection as _, Executor as _};
use tests::rows::{ledger, snapshot};
use tests::sessions::end_waiting_sessions;

use crate::dead_letters::letters::{Letters, named, poison};
use crate::expected::rows::resource;
use crate::given::batches::{cut, listing, moment, publish, publish_raw, record};

#[tokio::test]
async fn a_record_is_stored_once_its_cause_is_gone_and_stays_one_letter_until_then() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "first").await;
    let mut records = named(tags, 1..=3, "good");
    records.extend(poison(tags, [437]));
    letters.load(&cut(tags, 10, Span::Partial, records)).await;
    let id = letters.only_id().await;
    let loads = ledger(&mut letters.connection, tags.name).await.unwrap();

    letters.refuse(tags, "second").await;
    letters.allow(tags, "first").await;
    for _ in 0..2 {
        let finished = letters.run(&["retry", "--all"], 6).await;
        assert!(finished.stdout.starts_with(&format!("{id} tags 437: stays: ")), "{finished:?}");
        assert!(finished.stdout.ends_with("Applied 0 of 1 dead letters, 1 stay\n"), "{finished:?}");
        let [kept] = <[_; 1]>::try_from(letters.kept().await).unwrap();
        assert_eq!((kept.dead_letter_id, kept.source_id), (id, Some(437)));
        assert!(kept.reason.contains("\"second\""), "the newest reason: {kept:?}");
    }

    letters.allow(tags, "second").await;
    let finished = letters.run(&["retry", "--resource", "tags"], 0).await;
    assert_eq!(
        finished.stdout,
        format!("{id} tags 437: applied: 1 written\nApplied 1 of 1 dead letters\n")
    );
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, BTreeSet::from([1, 2, 3, 437]));
    assert_eq!(letters.rows(tags).await[&437].data["name"], "poison 437");
    assert_eq!(ledger(&mut letters.connection, tags.name).await.unwrap(), loads, "as it came");
}

#[tokio::test]
async fn only_what_is_selected_is_applied() {
    let mut letters = Letters::start().await;
    let (tags, groups) = (resource("tags"), resource("groups"));
    for resource in [tags, groups] {
        letters.refuse(resource, "no_poison").await;
        letters.load(&cut(resource, 10, Span::Partial, poison(resource, 1..=3))).await;
        letters.allow(resource, "no_poison").await;
    }
    let ids = letters.ids().await;
    letters.run(&["retry", "--id", &ids[1].to_string(), "--resource", "groups"], 0).await;
    letters.run(&["retry", "--reason", "mass delete"], 0).await;
    assert_eq!(letters.ids().await, ids);
    letters.run(&["retry", "--id", &format!("{},{}", ids[1], ids[5])], 0).await;
    assert_eq!(letters.ids().await, [ids[0], ids[2], ids[3], ids[4]]);
    assert_eq!(letters.live(tags).await, BTreeSet::from([2]));
    assert_eq!(letters.live(groups).await, BTreeSet::from([3]));
    letters.run(&["retry", "--reason", "\"TOGGL_track__groups\""], 0).await;
    assert_eq!(letters.ids().await, [ids[0], ids[2]]);
    let finished = letters.run(&["retry", "--id", &ids[1].to_string()], 0).await;
    assert!(finished.stdout.contains("There is no dead letter"), "{finished:?}");
}

#[tokio::test]
async fn an_old_record_does_not_replace_a_newer_row() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&cut(tags, 10, Span::Partial, poison(tags, [1]))).await;
    // As an earlier release left it.
    letters.execute("create table kept as table raw.toggl_track__dead_letters".into()).await;
    letters.load(&cut(tags, 20, Span::Partial, vec![record(tags, 1, 15, "mended")])).await;
    letters.assert_none().await;
    let again = "insert into raw.toggl_track__dead_letters
                     (resource, workspace_id, fetched_at, subject, stream_sequence, published_at,
                      source_id, record_index, reason, payload, batch)
                 select resource, workspace_id, fetched_at, subject, stream_sequence, published_at,
                        source_id, record_index, reason, payload, batch from kept";
    letters.execute(again.into()).await;
    letters.allow(tags, "no_poison").await;
    let before = snapshot(&mut letters.connection, &tags.table()).await.unwrap();

    let finished = letters.run(&["retry", "--all"], 0).await;
    assert!(finished.stdout.contains("stale: it is not newer than what is stored"), "{finished:?}");
    assert!(finished.stdout.ends_with("Applied 1 of 1 dead letters, 1 stale\n"), "{finished:?}");
    letters.assert_none().await;
    assert_eq!(snapshot(&mut letters.connection, &tags.table()).await.unwrap(), before);
}

/// The listings between had it, although Postgres refused it: it is not deleted.
#[tokio::test]
async fn a_record_that_every_listing_had_is_one_letter_and_comes_back_live() {
    for changing in [false, true] {
        let mut letters = Letters::start().await;
        let tags = resource("tags");
        letters.refuse(tags, "no_poison").await;
        for fetched_at in [10, 30, 20] {
            let name = if changing { format!("poison at {fetched_at}") } else { "poison".into() };
            let mut records = named(tags, 1..=3, "good");
            records.push(record(tags, 4, 5, &name));
            letters.load(&listing(tags, fetched_at, records)).await;
        }
        assert_eq!(letters.only_batch().await.fetched_at, moment(30));
        letters.allow(tags, "no_poison").await;
        letters.run(&["retry", "--all"], 0).await;
        assert_eq!(letters.live(tags).await, (1..=4).collect(), "{changing}");
        let name = letters.rows(tags).await[&4].data["name"].clone();
        assert_eq!(name, if changing { "poison at 30" } else { "poison" });
    }
}

#[tokio::test]
async fn a_record_that_a_later_listing_did_not_have_comes_back_deleted() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&listing(tags, 10, poison(tags, [1]))).await;
    let batch = letters.kept().await.remove(0).batch.unwrap();
    letters.load(&listing(tags, 20, named(tags, [2], "good"))).await;
    letters.assert_none().await;
    // A person may have it applied all the same.
    publish_raw(&letters.context, tags.subject(), Some("later"), batch.into()).await;
    letters.loaded().await;
    letters.execute(format!("update raw.toggl_track__dead_letters set encoding = '{ZSTD}'")).await;
    letters.allow(tags, "no_poison").await;
    letters.run(&["retry", "--all"], 0).await;
    assert_eq!(letters.rows(tags).await.len(), 2);
    assert_eq!(letters.live(tags).await, BTreeSet::from([2]));
}

#[tokio::test]
async fn a_message_is_decoded_again_and_what_is_bad_in_it_is_kept_by_itself() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&listing(tags, 10, named(tags, 1..=20, "good"))).await;
    let mut records = named(tags, [20], "better");
    records.extend(poison(tags, [21]));
    let payload = listing(tags, 20, records).remove(0).encode().unwrap();
    publish_raw(&letters.context, tags.subject(), Some("future"), payload).await;
    letters.loaded().await;
    letters.execute("update raw.toggl_track__dead_letters set reason = 'older'".into()).await;
    let id = letters.only_id().await;
    let finished = letters.run(&["retry", "--all"], 6).await;
    assert!(finished.stdout.contains("stays: unknown content encoding"), "{finished:?}");
    let [kept] = <[_; 1]>::try_from(letters.kept().await).unwrap();
    assert_eq!((kept.dead_letter_id, &*kept.reason), (id, "unknown content encoding \"future\""));

    // As a loader sees it that knows the encoding.
    let known = format!("update raw.toggl_track__dead_letters set encoding = '{ZSTD}'");
    letters.execute(known).await;
    let finished = letters.run(&["retry", "--all"], 6).await;
    assert!(finished.stdout.contains("1 written, 1 kept as dead letters of"), "{finished:?}");
    assert!(
        finished.stdout.contains("Applied 1 of 1 dead letters, 1 only in part"),
        "{finished:?}"
    );
    assert_eq!(letters.rows(tags).await[&20].data["name"], "better");
    let kinds: Vec<_> = letters.kept().await.into_iter().map(|k| (k.kind, k.source_id)).collect();
    assert_eq!(kinds, [("record".to_owned(), Some(21)), ("claim".to_owned(), None)]);
    let loads = ledger(&mut letters.connection, tags.name).await.unwrap();
    assert_eq!(loads.last(), Some(&[2, 1, 0, 0, 0, 1]), "its first load");
}

#[tokio::test]
async fn what_no_record_can_be_made_of_stays_and_says_what_to_do() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let rejected = Rejected { source_id: None, reason: "no id".into(), data: "{}".into() };
    let mut batch = cut(tags, 10, Span::Partial, named(tags, [1], "good")).remove(0);
    batch.rejected = vec![rejected];
    assert_eq!(batch.coverage, Coverage::Partial);
    letters.load(&[batch]).await;
    let id = letters.only_id().await;
    let finished = letters.run(&["retry", "--all"], 6).await;
    assert!(finished.stdout.contains("mend it at Toggl, then discard"), "{finished:?}");
    assert_eq!(letters.only_id().await, id);
    assert_eq!(letters.kept().await[0].reason, "no id");
}

#[tokio::test]
async fn a_message_whose_shape_has_changed_is_kept_as_a_batch() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    let payload = listing(tags, 10, poison(tags, 1..=60)).remove(0).encode().unwrap();
    publish_raw(&letters.context, tags.subject(), Some("future"), payload).await;
    letters.loaded().await;
    let id = letters.only_id().await;
    letters.execute(format!("update raw.toggl_track__dead_letters set encoding = '{ZSTD}'")).await;
    let finished = letters.run(&["retry", "--all"], 6).await;
    let applied = format!("{id} tags: applied: 60 kept as one dead letter of its own\n");
    assert!(finished.stdout.starts_with(&applied), "{finished:?}");
    let [kept] = <[_; 1]>::try_from(letters.kept().await).unwrap();
    assert_eq!(kept.kind, "shape");
    assert!(kept.reason.starts_with("at least 51 of 60 records are refused"), "{kept:?}");
    letters.allow(tags, "no_poison").await;
    letters.run(&["retry", "--all"], 0).await;
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await.len(), 60);
}

#[tokio::test]
async fn a_connection_that_is_lost_while_it_waits_is_made_anew() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&cut(tags, 10, Span::Partial, poison(tags, [1]))).await;
    letters.allow(tags, "no_poison").await;
    let mut lock = letters.world.connect().await.unwrap();
    lock.execute("begin; lock table raw.toggl_track__tags").await.unwrap();
    let mut watcher = letters.world.connect().await.unwrap();
    let ending = async {
        end_waiting_sessions(&mut watcher).await.unwrap();
        lock.close().await.unwrap();
    };
    let retrying = async { letters.run(&["retry", "--all"], 0).await };
    let (finished, ()) = tokio::join!(retrying, ending);
    assert!(finished.stdout.contains("applied: 1 written"), "{finished:?}");
    letters.assert_none().await;
    assert_eq!(letters.live(tags).await, BTreeSet::from([1]));
}

/// The loaders go on with the same table and the same letters.
#[tokio::test]
async fn letters_are_applied_while_loaders_load_the_same_table() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    let batches: Vec<_> = (0..8)
        .flat_map(|part| cut(tags, 10, Span::Partial, poison(tags, part * 40 + 1..=part * 40 + 40)))
        .collect();
    letters.load(&batches).await;
    assert_eq!(letters.ids().await.len(), 320);
    letters.allow(tags, "no_poison").await;

    let other = letters.world.start_loader().await.unwrap();
    let newer: Vec<_> = (1..=320)
        .flat_map(|id| cut(tags, 20, Span::Partial, named(tags, [id, 1_000 + id], "newer")))
        .collect();
    let publishing = async {
        publish(&letters.context, &newer).await;
        letters.loaded().await;
    };
    let retrying = async { letters.run(&["retry", "--all"], 0).await };
    let again = async { letters.command(&["retry", "--all"]).run().await.unwrap() };
    let ((), retried, again) = tokio::join!(publishing, retrying, again);

    assert_eq!(again.code, Some(0), "{again:?}");
    let lines = retried.stdout.lines().chain(again.stdout.lines());
    let settled: BTreeSet<_> = lines
        .filter(|line| line.contains(": applied") || line.contains(": stale"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let lines = retried.stdout.lines().chain(again.stdout.lines());
    let settled_twice = lines.filter(|line| line.contains(": applied") || line.contains(": stale"));
    assert_eq!(settled_twice.count(), settled.len(), "by one of them, or by a newer form");
    assert!(retried.elapsed < Duration::from_mins(1), "{retried:?}");
    letters.assert_none().await;
    let rows = letters.rows(tags).await;
    assert_eq!(rows.len(), 640);
    assert!(rows.values().all(|row| row.data["name"] == "newer" && row.deleted_at.is_none()));
    for loader in [&letters.loader, &other] {
        assert!(!loader.log().contains("in trouble"), "{}", loader.log());
        assert_eq!(loader.terminate().await.unwrap(), Some(0));
    }
}
