//! Listings that bring nothing new, known by the digest in their headers: what the payload would have
//! done is done without it, and it is read wherever the digest is not enough.

use jiff::ToSpan as _;
use shared::batch::{Batch, Coverage, Record};
use shared::digest::Digest;
use shared::listing::Span;
use shared::message::{DIGEST, headers};
use shared::resource::{Claim, Resource};
use tests::toggl::Account;
use tests::world::World;

use crate::dead_letters::letters::{Letters, named, poison};
use crate::erasure::people::{EVA, forget, of, of_her};
use crate::expected::rows::resource;
use crate::given::batches::{USER, cut, listing, moment, publish_raw, record};

fn claiming() -> impl Iterator<Item = &'static Resource> {
    shared::catalogue::CATALOGUE.iter().filter(|resource| resource.claim.is_by_listing())
}

fn one(batches: Vec<Batch>) -> Batch {
    let [batch] = <[_; 1]>::try_from(batches).unwrap();
    batch
}

fn tags(fetched_at: i64, content: &str) -> Batch {
    let tags = resource("tags");
    one(listing(tags, fetched_at, named(tags, 1..=3, content)))
}

#[tokio::test]
async fn a_listing_that_brings_nothing_new_does_by_its_headers_what_its_records_would_have_done() {
    let mut letters = Letters::of_one_connection().await;
    for resource in claiming() {
        let of = |at| one(listing(resource, at, named(resource, 1..=5, "same")));
        let (first, second, again) = (of(10), of(12), of(20));
        let mut outcomes = Vec::new();
        for reads in [true, false] {
            letters.empty(resource).await;
            letters.load_each([first.clone(), second.clone()]).await;
            if reads {
                let payload = again.encode().unwrap();
                let subject = resource.subject();
                publish_raw(&letters.context, subject, Some("zstd"), payload).await;
                letters.loaded().await;
            } else {
                assert!(letters.is_enough(&again).await, "{}", resource.name);
            }
            assert_eq!(letters.last_load().await, (5, 0, 5, 0, 0, true), "{}", resource.name);
            outcomes.push(letters.everything(resource).await);
        }
        assert_eq!(outcomes[0], outcomes[1], "{}", resource.name);
        assert_eq!(outcomes[0].len(), 5 + 1 + 3, "{:#?}", outcomes[0]);
        // It is known when the rows were last seen: what is late is stale.
        letters.load(&[one(listing(resource, 15, named(resource, 1..=5, "late")))]).await;
        assert_eq!(letters.last_load().await, (5, 0, 0, 5, 0, true), "{}", resource.name);
    }
}

#[tokio::test]
async fn an_empty_listing_of_what_is_empty_is_known_by_its_headers() {
    let mut letters = Letters::of_one_connection().await;
    assert!(letters.is_enough(&one(listing(resource("tags"), 10, Vec::new()))).await);
    assert_eq!(letters.last_load().await, (0, 0, 0, 0, 0, true));
}

#[tokio::test]
async fn where_anything_differs_the_records_are_read() {
    let mut letters = Letters::of_one_connection().await;
    let entries = resource("time_entries");
    let entry = |id, content: &str| record(entries, id, 5, content);
    let window = Span::Starts { from: moment(0), to: moment(9_000), user_id: Some(USER) };
    let at = |fetched_at, records: Vec<Record>| one(cut(entries, fetched_at, window, records));
    let known = || vec![entry(1, "A"), entry(2, "B")];
    letters.load_each([at(10, known()), at(15, known())]).await;
    assert!(letters.is_enough(&at(20, known())).await);
    let moved = Record { started_at: Some(moment(150)), ..entry(2, "B") };
    for (what, records) in [
        ("another content", vec![entry(1, "A"), entry(2, "C")]),
        ("contents swapped", vec![entry(1, "B"), entry(2, "A")]),
        ("another start", vec![entry(1, "A"), moved]),
        ("one more", vec![entry(1, "A"), entry(2, "B"), entry(3, "C")]),
        ("one less", vec![entry(1, "A")]),
        ("nothing", Vec::new()),
    ] {
        assert!(!letters.is_enough(&at(30, records)).await, "{what}");
        // A table that was not as expected is read once.
        letters.load(&[at(20, known())]).await;
    }
    assert!(!letters.is_enough(&at(10, known())).await, "not later than the rows");
    letters.load(&[at(20, known())]).await;
    assert!(letters.is_enough(&at(40, known())).await);
    assert!(!letters.is_enough(&at(39, known())).await, "a newer claim");
}

#[tokio::test]
async fn a_damaged_table_is_noticed_and_mended() {
    let mut letters = Letters::of_one_connection().await;
    let rows = "select string_agg(concat_ws(' ', source_id, content_hash, deleted_at), ', ' order by source_id)
                from raw.toggl_track__tags";
    for (second, damage) in (1..).map(|round| round * 100).zip([
        "delete from raw.toggl_track__tags where source_id = 2",
        "truncate raw.toggl_track__tags",
        "update raw.toggl_track__tags set content_hash = content_hash + 1 where source_id = 2",
        "update raw.toggl_track__tags set deleted_at = fetched_at where source_id = 2",
    ]) {
        letters.load_each([tags(second, "same"), tags(second + 10, "same")]).await;
        assert!(letters.is_enough(&tags(second + 20, "same")).await);
        let before: String =
            sqlx::query_scalar(rows).fetch_one(&mut letters.connection).await.unwrap();
        letters.execute(damage.to_owned()).await;
        letters.load(&[tags(second + 30, "same")]).await;
        let after: String =
            sqlx::query_scalar(rows).fetch_one(&mut letters.connection).await.unwrap();
        assert_eq!(before, after, "{damage}");
    }
}

/// What a digest says that is sent beside the payload of another batch.
async fn beside(letters: &mut Letters, change: impl Fn(&Digest, String) -> String) {
    let tags_resource = resource("tags");
    letters.empty(tags_resource).await;
    letters.load_each([tags(10, "old"), tags(11, "old")]).await;
    let news = tags(20, "new");
    let payload = news.encode().unwrap();
    let mut headers = headers(tags_resource, &news, &payload);
    // That there is nothing new.
    let lie = Digest::of(tags_resource, &tags(20, "old"), &payload).unwrap();
    headers.insert(DIGEST, change(&lie, lie.to_string()));
    letters.send(tags_resource, headers, payload).await;
    assert_eq!(letters.last_load().await, (3, 3, 0, 0, 0, true));
    assert!(
        letters.rows(tags_resource).await.values().all(|row| row.data.to_string().contains("new"))
    );
}

#[tokio::test]
async fn a_header_that_is_of_another_payload_or_form_is_ignored() {
    let mut letters = Letters::of_one_connection().await;
    let of_other = |lie: &Digest, _| {
        let other = Digest::of(resource("tags"), &tags(20, "old"), b"other").unwrap();
        assert_eq!(other.sums, lie.sums);
        other.to_string()
    };
    beside(&mut letters, of_other).await;
    beside(&mut letters, |_, text| text.replacen("v1 ", "v2 ", 1)).await;
    beside(&mut letters, |_, text| text.replacen(" run=", " run=x", 1)).await;
    beside(&mut letters, |_, text| format!("{text} more=1")).await;
    beside(&mut letters, |_, _| String::new()).await;
    beside(&mut letters, |_, _| "Größe 🚀".to_owned()).await;
    letters.assert_none().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_and_may_bring_news_is_kept() {
    let mut letters = Letters::of_one_connection().await;
    letters.load_each([tags(10, "old"), tags(11, "old")]).await;
    assert!(!letters.is_enough(&tags(20, "new")).await);
    letters.load(&[tags(30, "new")]).await;
    assert_eq!(letters.last_load().await, (3, 3, 0, 0, 0, true), "the table goes on");
}

#[tokio::test]
async fn a_time_of_fetching_that_is_not_believed_is_not_believed_in_a_header() {
    let mut letters = Letters::of_one_connection().await;
    letters.load_each([tags(10, "same"), tags(11, "same")]).await;
    let ahead = Batch { fetched_at: jiff::Timestamp::now() + 5.hours(), ..tags(20, "same") };
    assert!(letters.is_enough(&ahead).await);
    assert_eq!(letters.last_load().await, (3, 0, 3, 0, 0, false));
    let later: i64 = sqlx::query_scalar(
        "select count(*) from raw.toggl_track__claims where fetched_at > now() + interval '1 minute'",
    )
    .fetch_one(&mut letters.connection)
    .await
    .unwrap();
    assert_eq!(later, 0);
}

#[tokio::test]
async fn dead_letters_are_overtaken_by_what_is_known_by_its_headers() {
    let mut letters = Letters::of_one_connection().await;
    let tags_resource = resource("tags");
    letters.load(&[tags(10, "good")]).await;
    letters.refuse(tags_resource, "no_poison").await;
    letters.load(&listing(tags_resource, 20, poison(tags_resource, [1, 2, 3]))).await;
    assert_eq!(letters.ids().await.len(), 3);
    // The table is expected to stay as it is after this one, which is of one letter.
    letters.load(&cut(tags_resource, 21, Span::Partial, named(tags_resource, [1], "good"))).await;
    assert_eq!(letters.ids().await.len(), 2);
    assert!(letters.is_enough(&tags(30, "good")).await);
    letters.assert_none().await;
}

#[tokio::test]
async fn an_entry_that_ran_when_it_was_seen_is_found_gone_by_a_listing_that_is_otherwise_known() {
    let mut letters = Letters::of_one_connection().await;
    let reports = resource("time_entries_report");
    assert_eq!(reports.claim, Claim::Starts);
    let day = 24 * 60 * 60;
    let window = Span::Starts { from: moment(0), to: moment(10 * day), user_id: None };
    let stopped = record(reports, 1, 5, "stopped");
    let data = format!(r#"{{"id":2,"start":"{}","stop":null}}"#, moment(day));
    let runs = Record { started_at: None, data: data.into(), ..record(reports, 2, 5, "runs") };
    letters.load(&[one(cut(reports, 2 * day, window, vec![stopped.clone()]))]).await;
    letters.load(&cut(reports, 2 * day, Span::Partial, vec![runs])).await;
    assert_eq!(letters.live(reports).await, [1, 2].into());
    let again = |at| one(cut(reports, at, window, vec![stopped.clone()]));
    letters.load(&[again(3 * day)]).await;
    assert!(letters.is_enough(&again(4 * day)).await);
    assert_eq!(letters.live(reports).await, [1, 2].into(), "it may run on for a week");
    assert!(!letters.is_enough(&again(9 * day)).await);
    letters.load(&[again(9 * day)]).await;
    assert_eq!(letters.live(reports).await, [1].into());
}

#[tokio::test]
async fn nothing_is_written_of_the_forgotten_by_a_header_that_names_them() {
    let mut letters = Letters::of_one_connection().await;
    let (entries, users) = (resource("time_entries"), resource("users"));
    let hers = Span::Starts { from: moment(0), to: moment(9_000), user_id: Some(EVA) };
    let nothing = |at| one(cut(entries, at, hers, Vec::new()));
    assert!(letters.is_enough(&nothing(10)).await);
    let her = of(users, EVA, 5, serde_json::json!({"name": "Eva Vergiss"}));
    let all = |at| one(listing(users, at, vec![her.clone(), record(users, 7, 5, "Tom")]));
    letters.load_each([all(10), all(20)]).await;
    assert!(!of_her(&mut letters, &["raw"]).await.is_empty());
    forget(&letters, &["--user", &EVA.to_string(), "--yes"], 0).await;
    assert_eq!(of_her(&mut letters, &["raw"]).await, [""; 0]);
    for at in [30, 40] {
        letters.load_each([all(at), nothing(at)]).await;
        assert_eq!(of_her(&mut letters, &["raw"]).await, [""; 0], "at {at}");
        assert!(!letters.is_enough(&nothing(at + 5)).await, "its texts have to be looked at");
    }
    assert_eq!(letters.live(users).await, [7].into());
}

#[tokio::test]
async fn what_has_no_digest_is_loaded_as_ever() {
    let mut letters = Letters::of_one_connection().await;
    for (at, content) in [(10, "A"), (20, "A"), (30, "B"), (40, "B")] {
        let batch = tags(at, content);
        assert_ne!(batch.coverage, Coverage::Partial);
        let (subject, payload) = (resource("tags").subject(), batch.encode().unwrap());
        publish_raw(&letters.context, subject, Some("zstd"), payload).await;
        letters.loaded().await;
        let is_news = at % 20 == 10;
        let expected = if is_news { (3, 3, 0, 0, 0, true) } else { (3, 0, 3, 0, 0, true) };
        assert_eq!(letters.last_load().await, expected, "at {at}");
    }
}

#[tokio::test]
async fn every_listing_that_a_fetcher_sends_says_what_it_sums_up_to() {
    let world = World::start(Account::sample_at(jiff::Timestamp::now())).await.unwrap();
    world.sync(&[]).await.unwrap();
    let stream = world.stream().await.unwrap();
    let mut claiming = Vec::new();
    for sequence in 1..=stream.get_info().await.unwrap().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let batch = Batch::decode(&message.payload, Some("zstd")).unwrap();
        let resource = batch.known_resource().unwrap();
        let wanted = Digest::of(resource, &batch, &message.payload);
        let found = message.headers.get(DIGEST).map(ToString::to_string);
        assert_eq!(found, wanted.map(|digest| digest.to_string()), "{}", resource.name);
        claiming.extend(found.map(|_| resource.name));
    }
    for name in ["clients", "users", "groups", "tags", "time_entries"] {
        assert!(claiming.contains(&name), "{name}: {claiming:?}");
    }
}
