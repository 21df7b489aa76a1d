//! Dead letters that go by themselves: of what they are about, something newer is known.

use shared::batch::Batch;
use shared::listing::Span;
use shared::resource::Resource;
use sqlx::Executor as _;
use tests::rows::ledger;
use tests::toggl::{Account, Answer};
use tests::world::World;

use crate::dead_letters::letters::{Letters, named, poison, rejected};
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, record};
use crate::given::watched::status_json;

const TAGS: &str = "/api/v9/workspaces/{w}/tags";

fn letter(kind: &str, id: impl Into<Option<i64>>) -> (String, Option<i64>) {
    (kind.to_owned(), id.into())
}

/// A part of a listing by ids, `(after, through]`.
fn part(
    resource: &'static Resource,
    fetched_at: i64,
    after: Option<i64>,
    through: Option<i64>,
    ids: &[i64],
) -> Batch {
    let records = named(resource, ids.iter().copied(), "good");
    let mut batch = listing(resource, fetched_at, records).remove(0);
    batch.coverage = shared::batch::Coverage::Ids { after, through };
    batch
}

#[tokio::test]
async fn a_record_that_is_mended_is_a_letter_no_longer() {
    let mut letters = Letters::start().await;
    for name in ["tags", "users", "workspaces", "time_entries"] {
        let resource = resource(name);
        letters.refuse(resource, "no_poison").await;
        for at in [10, 100] {
            let batches = |at, name: &str| {
                let records = vec![record(resource, 1, at, name), record(resource, 2, at, name)];
                if at < 100 {
                    cut(resource, at, Span::Partial, records)
                } else {
                    listing(resource, at, records)
                }
            };
            letters.load(&batches(at, "poison")).await;
            assert_eq!(letters.kinds().await, [letter("record", 1), letter("record", 2)], "{name}");
            let mended = vec![record(resource, 1, at + 10, "mended")];
            letters.load(&cut(resource, at + 20, Span::Partial, mended)).await;
            assert_eq!(letters.kinds().await, [letter("record", 2)], "{name}");
            letters.load(&batches(at + 30, "good")).await;
            letters.assert_none().await;
        }
    }
    assert_eq!(letters.loader.terminate().await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_record_that_is_as_it_was_before_it_was_bad_is_a_letter_no_longer() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    let good = || named(tags, 1..=3, "good");
    letters.load(&listing(tags, 10, good())).await;
    for fetched_at in [20, 40] {
        letters.load(&listing(tags, fetched_at, poison(tags, [1, 2, 3]))).await;
        assert_eq!(letters.ids().await.len(), 3);
        let same = if fetched_at == 20 {
            listing(tags, fetched_at + 10, good())
        } else {
            cut(tags, fetched_at + 10, Span::Partial, good())
        };
        letters.load(&same).await;
        letters.assert_none().await;
    }
}

#[tokio::test]
async fn a_record_that_a_later_listing_lacks_is_a_letter_no_longer() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    letters.load(&listing(tags, 20, poison(tags, [1, 2]))).await;
    letters.load(&cut(tags, 30, Span::Partial, named(tags, [3], "good"))).await;
    letters.load(&listing(tags, 10, named(tags, [4], "good"))).await;
    assert_eq!(letters.ids().await.len(), 2, "neither says anything of them");
    letters.load(&[part(tags, 40, Some(1), None, &[3])]).await;
    assert_eq!(letters.kinds().await, [letter("record", 1)]);
    letters.load(&listing(tags, 50, poison(tags, [1]))).await;
    assert_eq!(letters.only_batch().await.fetched_at, moment(50), "it had it, and still bad");
    letters.load(&listing(tags, 60, Vec::new())).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn an_entry_that_its_user_s_later_window_lacks_is_a_letter_no_longer() {
    let mut letters = Letters::start().await;
    let entries = resource("time_entries");
    letters.refuse(entries, "no_poison").await;
    // Entries start at their id times 100 seconds.
    let window = |from: i64, to: i64, user_id| Span::Starts {
        from: moment(from * 100),
        to: moment(to * 100),
        user_id: Some(user_id),
    };
    letters.load(&cut(entries, 10, Span::Partial, poison(entries, [1, 2, 3]))).await;
    letters.load(&cut(entries, 20, window(1, 9, USER + 1), Vec::new())).await;
    letters.load(&cut(entries, 30, window(4, 9, USER), Vec::new())).await;
    assert_eq!(letters.ids().await.len(), 3);
    letters.load(&cut(entries, 40, window(2, 9, USER), poison(entries, [3]))).await;
    assert_eq!(letters.kinds().await, [letter("record", 1), letter("record", 3)]);
    letters.load(&cut(entries, 50, window(1, 9, USER), Vec::new())).await;
    letters.assert_none().await;

    // Of what is no record, the start may be known too.
    let start = moment(100);
    let unreadable = format!(r#"{{"id":7,"at":"soon","start":"{start}","user_id":{USER}}}"#);
    letters
        .load(&[rejected(entries, 60, &[(Some(7), &unreadable), (Some(8), "{\"id\":8}")])])
        .await;
    letters.load(&cut(entries, 70, window(1, 9, USER), Vec::new())).await;
    assert_eq!(letters.kinds().await, [letter("rejected", 8)], "nobody knows when it started");
    letters.load(&cut(entries, 80, Span::Partial, named(entries, [8], "good"))).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn what_no_record_can_be_made_of_is_one_letter_of_its_id_however_it_changes() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.refuse(tags, "no_poison").await;
    for fetched_at in [10, 20, 40, 30] {
        let text = format!(r#"{{"id":1,"at":"yesterday","total_count":{fetched_at}}}"#);
        letters.load(&[rejected(tags, fetched_at, &[(Some(1), &text)])]).await;
    }
    let [kept] = <[_; 1]>::try_from(letters.kept().await).unwrap();
    assert!(kept.payload.ends_with(b":40}"), "{kept:?}");
    letters.load(&cut(tags, 50, Span::Partial, poison(tags, [1]))).await;
    let [again] = <[_; 1]>::try_from(letters.kept().await).unwrap();
    assert_eq!((again.dead_letter_id, &*again.kind), (kept.dead_letter_id, "record"));
    letters.load(&[rejected(tags, 60, &[(Some(1), "{}")])]).await;
    let [again] = <[_; 1]>::try_from(letters.kept().await).unwrap();
    assert_eq!((again.dead_letter_id, &*again.kind), (kept.dead_letter_id, "rejected"));
    letters.load(&listing(tags, 70, named(tags, [2], "good"))).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn what_has_no_id_goes_with_a_later_listing_of_everything() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    let bad = |fetched_at, texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| (None, *text)).collect();
        [rejected(tags, fetched_at, &texts)]
    };
    letters.load(&bad(10, &["1", "2"])).await;
    let ids = letters.ids().await;
    letters.load(&bad(20, &["1", "2"])).await;
    assert_eq!(letters.ids().await, ids, "the same");
    letters.load(&bad(40, &["2", "3"])).await;
    let texts = |kept: Vec<crate::dead_letters::letters::Kept>| -> Vec<_> {
        kept.into_iter().map(|kept| String::from_utf8(kept.payload).unwrap()).collect()
    };
    assert_eq!(texts(letters.kept().await), ["2", "3"]);
    letters.load(&bad(30, &["1"])).await;
    assert_eq!(texts(letters.kept().await), ["2", "3"], "that was before");
    letters.load(&[part(tags, 50, None, Some(7), &[1])]).await;
    assert_eq!(letters.ids().await.len(), 2, "the rest of the listing is still to come");
    letters.load(&[part(tags, 50, Some(7), None, &[8])]).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn where_nothing_is_ever_claimed_a_later_answer_settles_what_has_no_id() {
    let mut letters = Letters::start().await;
    let workspaces = resource("workspaces");
    let bad = |fetched_at| [rejected(workspaces, fetched_at, &[(None, "no workspace")])];
    letters.load(&bad(20)).await;
    letters.load(&cut(workspaces, 20, Span::Partial, named(workspaces, [1], "good"))).await;
    letters.load(&cut(workspaces, 10, Span::Partial, named(workspaces, [1], "good"))).await;
    assert_eq!(letters.ids().await.len(), 1, "the same answer, and one before");
    letters.load(&cut(workspaces, 30, Span::Partial, named(workspaces, [1], "better"))).await;
    letters.assert_none().await;
    letters.load(&bad(20)).await;
    letters.assert_none().await;
    let loads = ledger(&mut letters.connection, "workspaces").await.unwrap();
    assert_eq!(loads.last(), Some(&[1, 0, 0, 1, 0, 0]), "it is older than what is known");
}

#[tokio::test]
async fn letters_of_another_resource_and_messages_are_left_alone() {
    let mut letters = Letters::start().await;
    let (tags, groups) = (resource("tags"), resource("groups"));
    letters.load(&[rejected(groups, 10, &[(Some(1), "{}"), (None, "{}")])]).await;
    let garbage = bytes::Bytes::from_static(b"garbage");
    crate::given::batches::publish_raw(&letters.context, tags.subject(), None, garbage).await;
    letters.load(&listing(tags, 20, named(tags, [1], "good"))).await;
    letters.load(&listing(tags, 30, named(tags, [1, 2], "good"))).await;
    assert_eq!(letters.ids().await.len(), 3);
}

#[tokio::test]
async fn of_letters_that_an_earlier_release_kept_several_times_the_newest_stays() {
    let mut letters = Letters::start().await;
    let tags = resource("tags");
    letters.load(&[rejected(tags, 40, &[(Some(1), "new")])]).await;
    let more = "insert into raw.toggl_track__dead_letters
                    (resource, workspace_id, fetched_at, subject, stream_sequence, published_at,
                     source_id, record_index, reason, payload)
                select resource, workspace_id, fetched_at - interval '10 s' * n, subject, 0, published_at,
                       source_id, n, reason, 'old'
                from raw.toggl_track__dead_letters, generate_series(1, 3) n";
    letters.connection.execute(more).await.unwrap();
    letters.load(&cut(tags, 50, Span::Partial, named(tags, [2], "good"))).await;
    assert_eq!(letters.kept().await.len(), 1);
    assert_eq!(letters.kept().await[0].payload, b"new");
}

/// Through the fetcher: what is mended at Toggl needs nobody at the loader.
#[tokio::test]
async fn status_is_healthy_again_once_toggl_is_mended() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    let mut letters = Letters::over(world).await;
    letters.refuse(resource("tags"), "no_poison").await;
    let tag = |name: &str, at: &str| {
        Answer::json(format!(r#"[{{"id":1,"name":"{name}","at":"{at}"}},{{"id":2,"name":"two"}}]"#))
    };
    let at = "2026-01-02T03:04:05Z";
    for (name, at) in [("poison", at), ("one", "yesterday"), ("one", "tomorrow")] {
        letters.world.toggl.script(TAGS, tag(name, at));
        letters.world.fetcher(&[]).run().await.unwrap();
        letters.loaded().await;
        let status = status_json(&letters.world, 6).await;
        let said = status["attention"].to_string() + &status.to_string();
        assert!(
            said.contains("1 dead letters (1 tags)") || said.contains("1 dead letter"),
            "{status:#}"
        );
        assert_eq!(letters.ids().await.len(), 1);
    }
    letters.world.toggl.script(TAGS, tag("one", at));
    letters.world.fetcher(&[]).run().await.unwrap();
    letters.loaded().await;
    letters.assert_none().await;
    status_json(&letters.world, 0).await;
}

#[tokio::test]
async fn letters_of_earlier_releases_are_taken_over_by_the_migration() {
    let world = World::start_empty(Account::empty()).await.unwrap();
    let mut connection = world.connect().await.unwrap();
    let letters = "insert into raw.toggl_track__dead_letters
             (resource, workspace_id, fetched_at, subject, stream_sequence, published_at,
              record_index, source_id, reason, payload, batch, encoding, ids, starts)
         select resource, 7, fetched_at::timestamptz, 's', place, now(), record_index, source_id,
                reason, payload::bytea, batch::bytea, null, ids::int8range, null
         from (values
             (1, 'tags', '2026-01-01', 0, 1, 'r', 'old', 'b', null),
             (2, 'tags', '2026-01-02', 0, 1, 'r', 'new', null, null),
             (3, 'tags', '2026-01-01', 0, null, 'r', 'same', null, null),
             (4, 'tags', '2026-01-02', 0, null, 'r', 'same', null, null),
             (5, 'tags', '2026-01-02', 1, null, 'r', 'other', null, null),
             (6, 'tags', null, 0, 9223372036854775807, 'r', 'last', 'b', null),
             (7, 'time_entries', '2026-01-01', 0, 1, 'r', 'entry', 'b', null),
             (8, 'tags', '2026-01-01', null, null, 'mass delete', 'claim', 'b', '(,)'),
             (9, 'tags', null, null, null, 'not MessagePack', 'message', null, null)
         ) as kept(place, resource, fetched_at, record_index, source_id, reason, payload, batch, ids)";
    let migrations = [
        "create schema raw",
        include_str!("../../../migrations/20261123090000_create_bookkeeping.sql"),
        include_str!("../../../migrations/20261123130000_tell_dead_letters_apart.sql"),
        letters,
        include_str!("../../../migrations/20261129100200_mend_dead_letters.sql"),
    ];
    for sql in migrations {
        connection.execute(sql).await.unwrap();
    }
    let sql = "select convert_from(payload, 'UTF8'), kind, ids::text
               from raw.toggl_track__dead_letters order by stream_sequence";
    let left: Vec<(String, String, Option<String>)> =
        sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    let kept = |payload: &str, kind: &str, ids: Option<&str>| {
        (payload.to_owned(), kind.to_owned(), ids.map(str::to_owned))
    };
    assert_eq!(
        left,
        [
            kept("new", "rejected", Some("[1,2)")),
            kept("same", "rejected", Some("(,)")),
            kept("other", "rejected", Some("(,)")),
            kept("last", "record", Some("[9223372036854775807,)")),
            kept("entry", "record", None),
            kept("claim", "claim", Some("(,)")),
            kept("message", "message", None),
        ]
    );
}
